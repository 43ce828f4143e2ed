package mq

import (
	"math/bits"
	"unsafe"
)

// What the tests look at from outside, and nothing else does.

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
	"sizeof mq_attr":                  {unsafe.Sizeof(mqAttr{}), 8 * word},
	"mq_attr.mq_maxmsg":               {unsafe.Offsetof(mqAttr{}.maxMsg), word},
	"mq_attr.mq_msgsize":              {unsafe.Offsetof(mqAttr{}.msgSize), 2 * word},
	"mq_attr.mq_curmsgs":              {unsafe.Offsetof(mqAttr{}.curMsgs), 3 * word},
	"sizeof sigevent":                 {unsafe.Sizeof(sigevent{}), 64},
	"sigevent.sigev_value":            {unsafe.Offsetof(sigevent{}.value), 0},
	"sigevent.sigev_signo":            {unsafe.Offsetof(sigevent{}.signo), word},
	"sigevent.sigev_notify":           {unsafe.Offsetof(sigevent{}.notify), word + 4},
	"sizeof sigevent, thread":         {unsafe.Sizeof(sigeventThread{}), 64},
	"sigevent.sigev_value, thread":    {unsafe.Offsetof(sigeventThread{}.cookie), 0},
	"sigevent.sigev_signo, thread":    {unsafe.Offsetof(sigeventThread{}.signo), word},
	"sigevent.sigev_notify, thread":   {unsafe.Offsetof(sigeventThread{}.notify), word + 4},
	"sizeof cookie NOTIFY_COOKIE_LEN": {unsafe.Sizeof(cookie{}), 32},
}
