package python

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tenon/internal/launch"
)

// planModules sorts the entries of --additional-python-modules: plain ones are
// installed together, those with options in groups of equal options, so that one
// entry's index or --no-deps does not reach the others. Wheels in S3 come back as
// locations.
func planModules(value string) (build, []string, error) {
	var b build
	var wheels []string
	for _, entry := range splitModules(value) {
		m, err := parseModule(entry)
		if err != nil {
			return build{}, nil, err
		}
		switch {
		case m.wheel != "":
			wheels = append(wheels, m.wheel)
		case m.options.String() == (options{}).String():
			b.requirements = append(b.requirements, m.requirement)
		default:
			b.addToGroup(m)
		}
	}
	return b, wheels, nil
}

func (b *build) addToGroup(m module) {
	for i := range b.groups {
		if b.groups[i].options.String() == m.options.String() {
			b.groups[i].requirements = append(b.groups[i].requirements, m.requirement)
			return
		}
	}
	b.groups = append(b.groups, group{options: m.options, requirements: []string{m.requirement}})
}

// environment finds or builds what the attempt runs in.
func (p *Preparer) environment(ctx context.Context, spec launch.Spec, extra build, notice func(string)) (environment, error) {
	base, err := p.base(ctx, spec.Command.PythonVersion, notice)
	if err != nil {
		return environment{}, err
	}
	if len(extra.requirements)+len(extra.groups)+len(extra.wheels) == 0 {
		return base, nil
	}
	extra.from, extra.parent = base.from, &base
	env, err := p.envs.ensure(ctx, extra, notice)
	var refused *installError
	switch {
	case errors.As(err, &refused) && refused.Stage == stageWheels:
		return environment{}, &launch.PrepareError{Message: "LAUNCH ERROR | Installation of wheels failed: " + refused.Line, Err: refused.Err}
	case errors.As(err, &refused):
		return environment{}, modulesFailed(refused.Line, refused.Err)
	}
	return env, err
}

// modulesFailed words a failure as AWS does (spec/jobs §2.8).
func modulesFailed(line string, err error) error {
	if !strings.HasPrefix(line, "ERROR:") {
		line = "ERROR: " + line
	}
	return &launch.PrepareError{Message: "LAUNCH ERROR | Installation of Additional Python Modules failed: " + line, Err: err}
}

// base returns the environment of jobs without modules of their own.
func (p *Preparer) base(ctx context.Context, asked string, notice func(string)) (environment, error) {
	if p.cfg.BasePython != "" {
		return p.named(ctx, asked, notice)
	}
	c, err := p.finder.find(ctx, asked)
	if err != nil {
		return environment{}, err
	}
	if c.note != "" {
		notice(c.note)
	}
	env, err := p.envs.ensure(ctx, build{from: c.interpreter, requirements: p.cfg.BaseRequirements}, notice)
	var refused *installError
	if errors.As(err, &refused) {
		return environment{}, &launch.PrepareError{
			Message: fmt.Sprintf("LAUNCH ERROR | The Python environment of %s could not be built: %s", c.Path, refused.Line), Err: err}
	}
	return env, err
}

// named uses the interpreter of Config.BasePython as it is.
func (p *Preparer) named(ctx context.Context, asked string, notice func(string)) (environment, error) {
	p.finder.mu.Lock()
	in, err := p.finder.probe(ctx, p.cfg.BasePython)
	p.finder.mu.Unlock()
	if err != nil {
		return environment{}, brokenInterpreter(ctx, "The Python of all jobs", p.cfg.BasePython, err)
	}
	if minorVersion.MatchString(asked) {
		if note := wrongVersion(asked, in); note != "" {
			notice(note)
		}
	}
	return environment{ID: "named " + in.Path + " " + in.Version.String(), Python: in.Path, Site: in.Site, HasPip: in.HasPip, from: in}, nil
}

// Warm builds the base environments that jobs will ask for first (no version and
// 3.9), so that the first job starts as fast as the next. It may run beside
// Prepare, which waits for it.
func (p *Preparer) Warm(ctx context.Context) error {
	for _, asked := range []string{"", "3.9"} {
		if _, err := p.base(ctx, asked, func(line string) { p.log.Debug("python environment", "line", line) }); err != nil {
			return fmt.Errorf("prepare python environment: %w", err)
		}
	}
	return nil
}

// Environments lists the complete environments, by ID.
func (p *Preparer) Environments(ctx context.Context) ([]Environment, error) { return p.envs.list(ctx) }
