// Package liveness decides which exporting clusters are out of reach, and what happens to their endpoints (SPEC L2, L7). It is pure: a
// [Detector] gets the time and an [Observation] of each cluster, and returns a [Standing]. It starts no goroutine and reads no clock.
//
// One cluster, with a grace period of 30 s and a stable period of 30 s:
//
//	probe answered  ──────┐                          ┌───────┐  ┌─────────────────────────────
//	no answer             └──────────────────────────┘       └──┘
//	                      ├──── grace ────┤                     ├──── stable ────┤
//	standing  reachable    lost            withdrawn                             reachable
//
// Grace counts from the last answer, and only the time in which this process ran, led, and probed. A return that is shorter than the
// stable period does not count. When more than half of the clusters, at least two, vanish within one grace period, this process
// is taken to be cut off itself: they stay lost, and nothing is withdrawn.
package liveness
