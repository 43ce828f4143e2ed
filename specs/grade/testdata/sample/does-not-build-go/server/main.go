package main

func main() {
	undeclaredName()
}
