package archtest

// A room is a set of packages that live under the same import law.
//
// Packages are given as path prefixes inside the module ("." is the root
// package); "*" stands for one path element. The longest prefix wins, so
// "internal/store/sqlstore" is not part of "internal/store". Packages below the
// same prefix belong together and may import each other.
type room struct {
	name     string
	packages []string
	// may names the rooms, or single packages, that production files import.
	may []string
	// extra gives single packages of the room more than the others have.
	extra map[string][]string
	// tests names what test files import besides.
	tests []string
	// pure rooms know no I/O, clock, randomness, environment or goroutine.
	pure bool
}

// The three ports and the in-memory adapters are listed often enough to be named.
var (
	ports = []string{"store port", "blob port", "launch port"}
	twins = []string{"internal/store/memstore", "internal/blob/memblob", "internal/launch/fake"}
)

// rooms is the import law of DESIGN §2, from the leaves up to the edges. Test
// files of every room may also import testkit.
var rooms = []room{
	{name: "python", packages: []string{"python"}},
	// Empty and inlined away unless the build tag is set (docs/adr/0002).
	{name: "crash points", packages: []string{"internal/testkit/crashpoint"}},
	{name: "lang", packages: []string{"internal/lang/*"}, pure: true},
	// The wire packages form one leaf: awsjson reads member names from model,
	// and auth hands keys to sigv4.
	{name: "wire", packages: []string{"internal/wire/*"}, may: []string{"wire"}},
	{
		name:     "core",
		packages: []string{"internal/flow", "internal/engine", "internal/jobrun", "internal/schema"},
		may:      []string{"lang"}, pure: true,
		// A run executes the triggers that flow describes (docs/adr/0002).
		extra: map[string][]string{"internal/engine": {"internal/flow"}},
	},

	{name: "store port", packages: []string{"internal/store"}, may: []string{"core", "lang"}, tests: []string{"store suite", "internal/store/memstore"}},
	{name: "blob port", packages: []string{"internal/blob"}, may: []string{"core", "lang"}, tests: []string{"blob suite", "internal/blob/memblob"}},
	{name: "launch port", packages: []string{"internal/launch"}, may: []string{"core", "lang"}, tests: []string{"launch suite", "internal/launch/fake"}},
	{name: "store suite", packages: []string{"internal/store/storetest"}, may: []string{"store port", "core", "lang"}, tests: []string{"internal/store/memstore"}},
	{name: "blob suite", packages: []string{"internal/blob/blobtest"}, may: []string{"blob port", "core", "lang"}, tests: []string{"internal/blob/memblob"}},
	{name: "launch suite", packages: []string{"internal/launch/launchtest"}, may: []string{"launch port", "core", "lang"}, tests: []string{"internal/launch/fake"}},

	{
		name:     "store adapters",
		packages: []string{"internal/store/sqlstore", "internal/store/memstore"},
		may:      []string{"store port", "core", "lang", "crash points"}, tests: []string{"store suite"},
	},
	{
		name:     "blob adapters",
		packages: []string{"internal/blob/fsblob", "internal/blob/s3blob", "internal/blob/memblob"},
		may:      []string{"blob port", "core", "lang", "crash points"}, tests: []string{"blob suite"},
	},
	{
		name: "launch adapters",
		packages: []string{
			"internal/launch/local", "internal/launch/kube", "internal/launch/fake",
			"internal/launch/python", "internal/launch/spark",
		},
		may: []string{"launch port", "core", "lang", "crash points"}, tests: []string{"launch suite"},
	},

	{
		name:     "application",
		packages: []string{"internal/orchestrate", "internal/invariants"},
		may:      join(ports, "core", "lang"), tests: twins,
	},
	{
		name: "services",
		packages: []string{
			"internal/glueapi", "internal/runner", "internal/ticker", "internal/ingress",
			"internal/crawl", "internal/neighbours/*", "internal/keeper",
		},
		may:   join(ports, "internal/orchestrate", "core", "wire", "lang", "crash points"),
		tests: join(twins, "internal/invariants"),
	},
	{
		name:     "edges",
		packages: []string{"internal/console", "internal/front", "internal/template", "internal/ops"},
		may:      join(ports, "services", "wire"),
		extra:    map[string][]string{"internal/front": {"crash points"}},
		tests:    twins,
	},
	// Only the root package sees adapters and services together.
	{
		name:     "tenon",
		packages: []string{"."},
		may: join(ports, "store adapters", "blob adapters", "launch adapters", "application", "services",
			"internal/front", "internal/console", "internal/ops", "core", "wire", "lang", "python", "crash points"),
		tests: []string{"internal/cli", "internal/template", "blob suite", "testkit"},
	},
	{
		name:     "cli",
		packages: []string{"internal/cli"},
		may:      join(ports, ".", "internal/template", "services", "wire"),
		tests:    twins,
	},
	{name: "commands", packages: []string{"cmd/*"}, may: []string{".", "cli"}},

	// Beside the product: none of these is linked into a release.
	{name: "testkit", packages: []string{"internal/testkit/*"}, may: join(ports, "testkit", "crash points", "tenon", "cli", "store adapters",
		"blob adapters", "launch adapters", "store suite", "blob suite", "launch suite", "application", "services", "edges", "core", "wire", "lang")},
	{name: "bench", packages: []string{"bench"}, may: []string{".", "cli", "launch port", "wire", "testkit"}},
	{
		name: "black box", packages: []string{"conformance", "conformance/crash", "examples"},
		may: []string{".", "cli", "wire", "testkit"},
		// The crash tests give a server jobs that keep evidence, and read the data
		// directory that a closed server leaves.
		extra: map[string][]string{"conformance/crash": {"launch port", "store port", "internal/store/sqlstore"}},
	},
}

// A borrowed names who may import a package from outside the module, or a part
// of the standard library that is not for everyone. The longest path wins.
type borrowed struct {
	path string
	in   []string // rooms or packages; empty: nobody
	// tests are rooms whose test files may import it besides; "all" is every room.
	tests []string
	why   string
}

var (
	speakAWS  = []string{"wire", "services", "edges", "cli", "tenon", "testkit", "bench", "black box"}
	speakJSON = join(ports, "store adapters", "blob adapters", "launch adapters", "application", "services", "edges", "cli",
		"tenon", "testkit", "bench", "black box")
	proofs = []string{"store suite", "blob suite", "launch suite", "testkit", "black box"}
)

var borrowings = []borrowed{
	{path: "github.com/aws/aws-sdk-go-v2", in: join(speakAWS, "internal/blob/s3blob"), tests: speakAWS, why: "no SDK type below the wire (DESIGN, never 5)"},
	{path: "github.com/aws/smithy-go", in: join(speakAWS, "internal/blob/s3blob"), why: "no SDK type below the wire (DESIGN, never 5)"},
	// template and cli are clients: they create buckets and upload through the S3 door, as a user would.
	{path: "github.com/aws/aws-sdk-go-v2/service/s3", in: []string{"internal/blob/s3blob", "internal/template", "cli", "bench", "testkit"}, tests: speakAWS, why: "the server reaches S3 through the blob port"},
	// auth keeps a file of credentials; awsjson must not: what AWS always sends is more than struct tags can say.
	{path: "github.com/go-json-experiment/json", in: join(speakJSON, "internal/wire/auth"), tests: []string{"wire"}, why: "the core has no encoding of its own"},
	{path: "github.com/go-json-experiment/json/jsontext", in: join(speakJSON, "wire"), why: "the core has no encoding of its own"},
	{path: "github.com/alecthomas/kong", in: []string{"cli"}, why: "command lines are the business of cli"},
	{path: "golang.org/x/term", in: []string{"cli"}, why: "terminals are the business of cli"},
	{path: "go.yaml.in/yaml/v3", in: []string{"internal/template"}, why: "only templates are YAML"},
	{path: "golang.org/x/sync", in: []string{"store adapters", "blob adapters", "launch adapters", "services", "edges", "cli", "tenon", "testkit", "bench"}, why: "the core has no goroutines"},
	{path: "golang.org/x/sys", in: []string{"store adapters", "blob adapters", "launch adapters", "tenon", "testkit", "bench"}, why: "the operating system is behind the ports"},
	{path: "modernc.org/sqlite", in: []string{"internal/store/sqlstore"}, why: "no driver type outside sqlstore (DESIGN, never 5)"},
	{path: "database/sql", in: []string{"internal/store/sqlstore"}, why: "no driver type outside sqlstore (DESIGN, never 5)"},

	{path: "github.com/google/go-cmp", in: proofs, tests: []string{"all"}, why: "a library for tests"},
	{path: "pgregory.net/rapid", in: proofs, tests: []string{"all"}, why: "a library for tests"},
	{path: "github.com/cockroachdb/datadriven", in: proofs, tests: []string{"all"}, why: "a library for tests"},
	{path: "github.com/rogpeppe/go-internal", in: proofs, tests: []string{"all"}, why: "a library for tests"},
	{path: "go.uber.org/goleak", in: proofs, tests: []string{"all"}, why: "a library for tests"},
	{path: "testing", in: join(proofs, "bench"), tests: []string{"all"}, why: "a library for tests"},

	{path: "log/slog", in: join(speakJSON, "wire", "store suite", "blob suite", "launch suite", "commands"), tests: []string{"all"}, why: "logging is not for pure packages"},
	{path: "log", why: "slog only (DESIGN §8)"},
	{path: "encoding/json", in: []string{"lang"}, why: "one JSON library, go-json-experiment; only lang, which knows std alone, may use this one"},
}

// impure lists the standard packages that pure rooms must not import.
var impure = []string{
	"context", "crypto/rand", "database/sql", "io/fs", "log", "math/rand", "net", "os", "path/filepath",
	"plugin", "runtime", "syscall", "testing", "unsafe",
}

// exempt lists the few parts of impure packages that do no I/O at all.
var exempt = []string{"net/url", "net/netip"}

// A ban forbids identifiers of one package outside some rooms.
type ban struct {
	rule  string
	pkg   string
	names []string
	// only, if set, are the rooms where the ban holds; except are rooms where it does not.
	only, except []string
	// Where production and test files are concerned.
	production, tests bool
	why               string
}

var (
	clock = []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"}
	env   = []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv", "Unsetenv", "Clearenv"}
	// beside are the rooms that drive the product from outside.
	beside = []string{"testkit", "crash points", "bench", "black box"}
)

var bans = []ban{
	{rule: "clock", pkg: "time", names: clock, only: []string{"lang", "core", "application"}, production: true, why: "clocks are arguments (DESIGN, never 1)"},
	{rule: "sleep", pkg: "time", names: []string{"Sleep"}, tests: true, why: "wait for the event, or use virtual time (DESIGN, never 9)"},
	{rule: "sleep", pkg: "time", names: []string{"Sleep"}, only: []string{"store suite", "blob suite", "launch suite", "testkit"}, production: true, why: "wait for the event, or use virtual time (DESIGN, never 9)"},
	{rule: "environment", pkg: "os", names: env, except: join(beside, "tenon", "commands"), production: true, why: "configuration has one place, package tenon (DESIGN §8)"},
	{rule: "process", pkg: "os/exec", names: []string{"Command", "CommandContext"}, except: join(beside, "launch adapters", "launch suite"), production: true, why: "processes are started behind the launch port"},
	{rule: "process", pkg: "os", names: []string{"StartProcess"}, except: join(beside, "launch adapters", "launch suite"), production: true, why: "processes are started behind the launch port"},
	{rule: "process", pkg: "syscall", names: []string{"ForkExec", "StartProcess", "Exec"}, except: join(beside, "launch adapters"), production: true, why: "processes are started behind the launch port"},
}

// An exception excuses one rule in one file, or in one package when the path
// has no .go ending.
type exception struct{ rule, path, why string }

// exceptions is meant to stay short. Every line says why the rule is wrong there.
var exceptions = []exception{
	{rule: "panic", path: "internal/wire/model", why: "it reads only the table compiled into the binary; a test loads all of it"},
	{rule: "panic", path: "internal/front", why: "http.ErrAbortHandler is net/http's own way to cut a connection whose answer has begun"},
	{rule: "panic", path: "python/python.go", why: "it reads only files embedded in the binary; a test reads all of them"},
}

const maxLines = 600

// minWords keeps "Package x does x." from counting as documentation.
const minWords = 12

// withDoc are the packages that explain states, failures and invariants in doc.go (DESIGN §8).
var withDoc = []string{"internal/engine", "internal/runner", "internal/store", "internal/launch"}

// nameless are package names that say nothing about what is inside.
var nameless = []string{"util", "utils", "common", "helper", "helpers", "types", "pkg", "misc", "shared"}

func join(list []string, more ...string) []string {
	return append(append([]string(nil), list...), more...)
}
