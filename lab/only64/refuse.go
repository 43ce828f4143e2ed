//go:build 386 || arm || mips || mipsle

package only64

const _ = daemonlab_needs_a_64_bit_system
