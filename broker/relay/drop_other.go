//go:build !linux

package main

import "errors"

func dropPrivileges() error { return errors.New("there are no boxes on this system") }
