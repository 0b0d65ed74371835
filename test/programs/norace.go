//go:build !race

package programs

// Raced says whether this program runs under the race detector; see race.go.
const Raced = false
