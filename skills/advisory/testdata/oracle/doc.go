// Package oracle holds "glovebox osv check" against osv-scanner: a module of its own, so
// that neither the daemon's dependencies nor its version of the matcher are osv-scanner's.
package oracle
