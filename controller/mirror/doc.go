// Package mirror keeps one cluster's objects in memory. Of multi-cluster services it knows only that their API has several versions.
//
// A [Feed] follows one kind and fills a [Store]; a [Track] follows one resource through the API versions that are served,
// and replaces a version only when the next one has synced (SPEC A7). A store answers what is there now: what the watch said,
// overlaid with the outcome of our own writes until the watch has caught up. It can be told to keep only the objects of names
// that somebody is interested in, and to hold back absences: objects that a new list lacks stay until they have been absent for
// long enough, when they are most of what there was (SPEC L6).
package mirror
