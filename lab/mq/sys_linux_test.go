package mq

import (
	"testing"
	"unsafe"
)

func TestLayouts(t *testing.T) {
	const long = 8
	attr, event := mqAttr{}, sigevent{}
	for name, l := range map[string][2]uintptr{
		"sizeof(struct mq_attr)":                  {unsafe.Sizeof(attr), 8 * long},
		"offsetof(struct mq_attr, mq_maxmsg)":     {unsafe.Offsetof(attr.maxMsg), long},
		"offsetof(struct mq_attr, mq_msgsize)":    {unsafe.Offsetof(attr.msgSize), 2 * long},
		"offsetof(struct mq_attr, mq_curmsgs)":    {unsafe.Offsetof(attr.curMsgs), 3 * long},
		"sizeof(struct sigevent)":                 {unsafe.Sizeof(event), 64},
		"offsetof(struct sigevent, sigev_signo)":  {unsafe.Offsetof(event.signo), long},
		"offsetof(struct sigevent, sigev_notify)": {unsafe.Offsetof(event.notify), long + 4},
		"NOTIFY_COOKIE_LEN":                       {unsafe.Sizeof(cookie{}), 32},
	} {
		if l[0] != l[1] {
			t.Errorf("%s: %d, not %d", name, l[0], l[1])
		}
	}
}
