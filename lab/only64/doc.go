// Package only64 refuses to compile for 32 bits. Packages import it that declare structures of the kernel as 64-bit
// systems have them, or hold numbers in an int that need 64 bits.
package only64
