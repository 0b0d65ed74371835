// Package finding has what the commands that look at clusters say: steps, each with a verdict and, where something is to be done, with
// advice; how they are shown; and the judgement about name servers, which check, explain and dns share.
//
// It reads nothing: what is judged was gathered before.
package finding
