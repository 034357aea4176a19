// Package importer turns the configuration of other hosts into skills of this one.
package importer
