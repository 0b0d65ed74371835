//go:build race

package programs

const raced = true // this program runs under the race detector, and so do those that it builds
