// Package install puts verified skills into the state folder, upgrades, pins, revokes and removes them.
package install
