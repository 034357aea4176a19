// Package sbom tells which packages a module was built from: from the module itself and from a
// CycloneDX document, which must agree.
package sbom
