//go:build linux

package mq

import (
	"math/bits"
	"reflect"
)

// What the tests look at from outside, and nothing else does.

// WordOf is what Cost makes of a machine's name.
var WordOf = wordOf

// DecodeCookie and EncodeCookie are the two ends of a notification's way through the kernel.
var DecodeCookie = decodeCookie

func EncodeCookie(id uint64, ev Event) []byte {
	c := newCookie(id)
	c[cookieSize-1] = byte(ev)
	return c[:]
}

// Pending counts the registrations that have not ended, Sockets the netlink sockets that serve them.
func Pending() int {
	notifications.mu.Lock()
	defer notifications.mu.Unlock()
	return len(notifications.pending)
}

func Sockets() int {
	notifications.mu.Lock()
	defer notifications.mu.Unlock()
	return len(notifications.sockets)
}

const word = bits.UintSize / 8

// Layouts pairs what the compiler made of the kernel's structures with what they must be.
var Layouts = map[string][2]uintptr{
	"sizeof mq_attr":                  {size[mqAttr](), 8 * word},
	"mq_attr.mq_maxmsg":               {offset[mqAttr]("maxMsg"), word},
	"mq_attr.mq_msgsize":              {offset[mqAttr]("msgSize"), 2 * word},
	"mq_attr.mq_curmsgs":              {offset[mqAttr]("curMsgs"), 3 * word},
	"sizeof sigevent":                 {size[sigevent](), 64},
	"sigevent.sigev_value":            {offset[sigevent]("value"), 0},
	"sigevent.sigev_signo":            {offset[sigevent]("signo"), word},
	"sigevent.sigev_notify":           {offset[sigevent]("notify"), word + 4},
	"sizeof sigevent, thread":         {size[sigeventThread](), 64},
	"sigevent.sigev_value, thread":    {offset[sigeventThread]("cookie"), 0},
	"sigevent.sigev_signo, thread":    {offset[sigeventThread]("signo"), word},
	"sigevent.sigev_notify, thread":   {offset[sigeventThread]("notify"), word + 4},
	"sizeof cookie NOTIFY_COOKIE_LEN": {size[cookie](), 32},
}

func size[T any]() uintptr { return reflect.TypeFor[T]().Size() }

func offset[T any](field string) uintptr {
	f, found := reflect.TypeFor[T]().FieldByName(field)
	if !found {
		panic(field)
	}
	return f.Offset
}
