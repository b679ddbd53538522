package store

// Objects is the index of the built-in object store: buckets, objects, uploads.
// Its rows follow.
type Objects interface{}
