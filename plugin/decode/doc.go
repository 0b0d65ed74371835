// Package decode turns what an API server sends about ServiceImports and EndpointSlices into what DNS serves, and says what is odd
// about an object. It reads of either kind only the fields that the plugin uses: a field that is to be used more is added to
// leanImport (import.go) or to the decoder of slices (slice.go), then to [Import] or [Slice]. The fixture of the plugin's tests sends
// every object through these decoders, so that a field which they drop is missing there, too.
package decode
