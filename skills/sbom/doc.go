// Package sbom tells which packages a module was built from: from the module itself and from a
// CycloneDX document, which must agree.
//
// Both are what the author says. A signature binds a list to its author and does not make it
// true; what the checks here keep out is the list that is absent, that two readers would read
// differently, or that names nothing an advisory could be about.
package sbom
