// Package kit has the steps that tests of several packages take: waiting for a condition, ending a test at an error, and creating the
// objects of an exported Service.
//
// It knows API servers by clients only. How a cluster or a program is started is a matter of test/controlplane, test/programs and
// test/clusterset; what a single package needs stays there.
package kit
