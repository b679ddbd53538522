// Package python prepares Python shell jobs. It guarantees that a prepared
// attempt has its script and libraries on disk, a complete Python environment
// that nobody else's job can change by the usual means, the exact sys.argv of
// spec/jobs §3.4 and an environment that holds nothing of the server's own.
//
// # Directories below Config.Root
//
//	work/<attempt>/script/        the script under its own name
//	work/<attempt>/libs/          --extra-py-files
//	work/<attempt>/installation/  where the script's own pip installs (GLUE_INSTALLATION)
//	work/<attempt>/scratch/       working directory, HOME and TMPDIR
//	envs/<key>/                   a virtual environment; complete iff .complete exists
//	envs/<key>.lock               flock of its builder, inherited by the installer
//	runtime/<digest>/             the wrapper and the awsglue module
//	cache/                        the installers' caches
//
// # Environments
//
// A base environment holds Config.BaseRequirements and is shared by all jobs of
// one interpreter. Wheels and --additional-python-modules make a derived one: a
// small virtual environment of its own that sees the base through a .pth file,
// so that a job with a self-contained wheel starts offline and boto3 is not
// installed again. Both are named by a hash of everything that went in, and are
// never changed after they are complete.
//
// # Failures
//
//	what dies                  what follows
//	server during a build      the orphaned installer holds the lock until it ends; then the next build starts afresh
//	build (exit code, ctx)     its directory is removed; the next attempt builds again
//	machine                    no .complete without the files before it; rebuilt
//	interpreter is uninstalled the environment is rebuilt with what is found
//
// The package does not start jobs, does not limit them and does not decide what
// their exit codes mean.
package python
