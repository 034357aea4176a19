// Package config reads glovebox.yaml strictly, knows the environment variables, and
// owns the layout, the modes and the lock of the state folder.
//
// Every default is written in Default; every key is read and enforced by host.
package config
