# Sourced with kit set to where the bundle lies: its Go, with a cache that stays and without a network.
export HOME=${HOME:-/root}
export PATH=$kit/go/root/bin:$PATH
export GOROOT=$kit/go/root GOMODCACHE=$kit/go/modules GOCACHE=$kit/go/cache GOPATH=$kit/go/path
export GOPROXY=off GOSUMDB=off GOTOOLCHAIN=local GOENV=off GOTELEMETRY=off
