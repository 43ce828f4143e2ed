package mq

import (
	"reflect"
	"testing"
)

func TestLayouts(t *testing.T) {
	const long = 8
	attr, event := reflect.TypeFor[mqAttr](), reflect.TypeFor[sigevent]()
	for name, l := range map[string][2]uintptr{
		"sizeof(struct mq_attr)":                  {attr.Size(), 8 * long},
		"offsetof(struct mq_attr, mq_maxmsg)":     {offset(attr, "maxMsg"), long},
		"offsetof(struct mq_attr, mq_msgsize)":    {offset(attr, "msgSize"), 2 * long},
		"offsetof(struct mq_attr, mq_curmsgs)":    {offset(attr, "curMsgs"), 3 * long},
		"sizeof(struct sigevent)":                 {event.Size(), 64},
		"offsetof(struct sigevent, sigev_signo)":  {offset(event, "signo"), long},
		"offsetof(struct sigevent, sigev_notify)": {offset(event, "notify"), long + 4},
		"NOTIFY_COOKIE_LEN":                       {reflect.TypeFor[cookie]().Size(), 32},
	} {
		if l[0] != l[1] {
			t.Errorf("%s: %d, not %d", name, l[0], l[1])
		}
	}
}

func offset(structure reflect.Type, name string) uintptr {
	field, found := structure.FieldByName(name)
	if !found {
		panic(name)
	}
	return field.Offset
}
