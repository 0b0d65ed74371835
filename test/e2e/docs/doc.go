// Package docs follows the pages of the folder docs/ as a reader would, on clusters that begin with nothing of ours: the
// commands are taken from the pages, and run as they stand there. The package itself holds nothing.
package docs
