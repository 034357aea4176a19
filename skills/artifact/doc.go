// Package artifact packs a skill as an OCI artifact, deterministically, and moves it to and from
// registries, folders and static web servers.
package artifact
