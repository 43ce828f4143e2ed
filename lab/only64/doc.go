// Package only64 refuses to compile for 32 bits. Import it in a package that declares kernel structures in their 64-bit
// layout, or that keeps numbers in an int that need 64 bits.
package only64
