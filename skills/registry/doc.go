// Package registry reads and makes signed indexes of skills by The Update Framework.
package registry
