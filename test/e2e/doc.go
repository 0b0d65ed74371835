// Package e2e tests the whole: real clusters, real packets, the two programs, and nobody in between who could be wrong in
// the same way. What is asserted is what answered, not that something did. The tests need root; without it they are
// skipped and say so. The package itself holds nothing.
package e2e
