//go:build race

package programs

// Raced says whether this program runs under the race detector, as those do that it builds: they are slower by half and more, and
// take a multiple of the memory, so that no bound for time or memory can be held with them.
const Raced = true
