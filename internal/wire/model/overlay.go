package model

// change is one place where Tenon accepts more or less than the model says.
type change struct {
	shape string
	row   string // the spec row that decides it
	apply func(*Shape)
}

// overlay is the whole list of them. A test fails for an entry that changes
// nothing, which is how an entry is found that a newer model has made needless:
// the worker types of spec/jobs §1.2, for one, are all in the model by now.
var overlay = []change{
	{
		shape: "PythonVersionString",
		row:   "spec/jobs §5.1: clients may ask for Python versions that AWS does not offer",
		apply: func(s *Shape) { s.Pattern, s.goPattern = pythonVersion, pythonVersion },
	},
}

const pythonVersion = `^(2|3|3\.\d+)$`
