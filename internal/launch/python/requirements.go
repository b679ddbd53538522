package python

import (
	"fmt"
	"regexp"
	"strings"
)

// splitModules splits the value of --additional-python-modules at its commas.
// AWS cuts at every comma, which breaks `x>=6,<7` (spec/jobs §3.2); here a comma
// inside brackets, parentheses or quotes, or one followed by a version operator,
// belongs to the entry.
func splitModules(value string) []string {
	var entries []string
	depth, start := 0, 0
	var quote byte
	flush := func(end int) {
		if e := strings.TrimSpace(value[start:end]); e != "" {
			entries = append(entries, e)
		}
		start = end + 1
	}
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '[' || c == '(':
			depth++
		case (c == ']' || c == ')') && depth > 0:
			depth--
		case c == ',' && depth == 0:
			rest := strings.TrimLeft(value[i+1:], " \t")
			if strings.TrimSpace(value[start:i]) != "" && rest != "" && strings.IndexByte("<>=!~", rest[0]) >= 0 {
				continue
			}
			flush(i)
		}
	}
	if start <= len(value) {
		flush(len(value))
	}
	return entries
}

// module is one entry of --additional-python-modules.
type module struct {
	requirement string // PEP 508, or a URL; empty when wheel is set
	wheel       string // s3://…whl, our extension
	options     options
}

// options are the installer options that an entry may bring along. They travel
// to the installer through its environment, since index URLs may hold passwords.
type options struct {
	Index        string
	ExtraIndexes []string
	FindLinks    []string
	TrustedHosts []string
	NoDeps, Pre  bool
}

func (o options) String() string {
	return fmt.Sprintf("%q", []any{o.Index, o.ExtraIndexes, o.FindLinks, o.TrustedHosts, o.NoDeps, o.Pre})
}

var (
	requirementStart = regexp.MustCompile(`^[A-Za-z0-9]`)
	fileURL          = regexp.MustCompile(`(?i)(^|[@\s+])file:`)
	webURL           = regexp.MustCompile(`^https?://[^\s]+$`)
	hostName         = regexp.MustCompile(`^[A-Za-z0-9._:\[\]-]+$`)
	optionStart      = regexp.MustCompile(`(^|\s)-`)
)

// parseModule reads one entry: a requirement with the few installer options that
// cannot reach beyond the installation (spec/faults J12). Errors are worded to
// follow "ERROR: ".
func parseModule(entry string) (module, error) {
	for _, r := range entry {
		// A requirements file is read line by line, joins lines at a backslash and
		// expands ${NAME} from the installer's environment.
		if r < ' ' || r == 0x7f || r == '\\' {
			return module{}, badEntry("Invalid requirement: %q", entry)
		}
	}
	if strings.Contains(entry, "${") {
		return module{}, badEntry("Invalid requirement: '%s' (variables are not expanded)", entry)
	}
	text, tail := entry, ""
	if at := optionStart.FindStringIndex(entry); at != nil {
		text, tail = strings.TrimSpace(entry[:at[0]]), strings.TrimSpace(entry[at[0]:])
	}
	opts, err := parseOptions(strings.Fields(tail))
	if err != nil {
		return module{}, err
	}
	switch {
	case text == "":
		return module{}, badEntry("option without a module: '%s'", entry)
	case strings.HasPrefix(strings.ToLower(text), "s3://"):
		if !strings.HasSuffix(strings.ToLower(text), ".whl") {
			return module{}, badEntry("'%s' is not a wheel (.whl)", text)
		}
		if tail != "" {
			return module{}, badEntry("'%s': a wheel in S3 takes no options", entry)
		}
		return module{wheel: text}, nil
	case fileURL.MatchString(text):
		return module{}, badEntry("'%s': files of the server cannot be installed", text)
	case !requirementStart.MatchString(text):
		return module{}, badEntry("Invalid requirement: '%s'", text)
	}
	return module{requirement: text, options: opts}, nil
}

func parseOptions(words []string) (options, error) {
	var o options
	for i := 0; i < len(words); i++ {
		name, value, inline := strings.Cut(words[i], "=")
		switch name {
		case "--no-deps", "--pre":
			if inline {
				return o, badEntry("option %s takes no value", name)
			}
			if name == "--pre" {
				o.Pre = true
			} else {
				o.NoDeps = true
			}
			continue
		case "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--trusted-host":
		default:
			return o, badEntry("option %s is not allowed here; allowed are -i, --index-url, --extra-index-url, --find-links, --no-deps, --pre and --trusted-host", quoteShort(name))
		}
		if !inline {
			if i++; i == len(words) {
				return o, badEntry("option %s needs a value", name)
			}
			value = words[i]
		}
		if name == "--trusted-host" {
			if !hostName.MatchString(value) {
				return o, badEntry("option %s needs a host name", name)
			}
			o.TrustedHosts = append(o.TrustedHosts, value)
			continue
		}
		// Not echoed: the URL may hold a password.
		if !webURL.MatchString(value) {
			return o, badEntry("option %s needs an http or https URL", name)
		}
		switch name {
		case "-i", "--index-url":
			o.Index = value
		case "--extra-index-url":
			o.ExtraIndexes = append(o.ExtraIndexes, value)
		default:
			o.FindLinks = append(o.FindLinks, value)
		}
	}
	return o, nil
}

// entryError is worded like pip's own errors, which begin with a capital.
type entryError string

func (e entryError) Error() string { return string(e) }

func badEntry(format string, args ...any) error { return entryError(fmt.Sprintf(format, args...)) }
