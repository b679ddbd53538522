package cron

import (
	"fmt"
	"strconv"
	"strings"
)

// SyntaxError says what is wrong with an expression, and where.
type SyntaxError struct {
	Column int    // 1-based, in bytes of the whole expression
	Field  string // name of the field, "" if the fault lies outside the fields
	Reason string
}

func (e *SyntaxError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("column %d: %s", e.Column, e.Reason)
	}
	return fmt.Sprintf("column %d, %s: %s", e.Column, e.Field, e.Reason)
}

// field describes one of the six fields.
type field struct {
	name     string
	min, max int
	names    string // three letters each, from min on
	day      bool   // "?" may stand here
}

const (
	dayOfMonth = 2
	dayOfWeek  = 4
)

var fields = [6]field{
	{name: "Minutes", min: 0, max: 59},
	{name: "Hours", min: 0, max: 23},
	{name: "Day-of-month", min: 1, max: 31, day: true},
	{name: "Month", min: 1, max: 12, names: "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"},
	{name: "Day-of-week", min: 1, max: 7, names: "SUNMONTUEWEDTHUFRISAT", day: true},
	{name: "Year", min: firstYear, max: lastYear},
}

// Parse reads cron(Minutes Hours Day-of-month Month Day-of-week Year). Every
// error is a *SyntaxError.
func Parse(expr string) (Schedule, error) {
	words, err := split(expr)
	if err != nil {
		return Schedule{}, err
	}
	// An answer to "* in both day fields" is unknown for AWS; "exactly one is ?" is
	// what its guide says (spec/workflows §4.7).
	dom, dow := words[dayOfMonth], words[dayOfWeek]
	switch {
	case dom.text == "?" && dow.text == "?":
		return Schedule{}, &SyntaxError{dow.column, fields[dayOfWeek].name, "only one of the two day fields can be ?"}
	case dom.text != "?" && dow.text != "?":
		return Schedule{}, &SyntaxError{dow.column, fields[dayOfWeek].name, "must be ? when Day-of-month is not, or the other way round"}
	}
	s := Schedule{text: expr, byWeekday: dom.text == "?"}
	for i, w := range words {
		if fields[i].day && w.text == "?" {
			continue
		}
		if err := s.parseField(i, w); err != nil {
			return Schedule{}, err
		}
	}
	return s, nil
}

// word is a piece of an expression and where it begins, counted from 1.
type word struct {
	text   string
	column int
}

// split takes off the wrapper and cuts the six fields apart.
func split(expr string) (words [6]word, err error) {
	const open = "cron("
	if strings.HasPrefix(strings.TrimSpace(expr), "rate(") {
		return words, &SyntaxError{1, "", "rate() is not part of Glue's schedules; write cron(…)"}
	}
	if !strings.HasPrefix(expr, open) {
		return words, &SyntaxError{1, "", "a schedule is written cron(Minutes Hours Day-of-month Month Day-of-week Year)"}
	}
	if !strings.HasSuffix(expr, ")") {
		return words, &SyntaxError{len(expr) + 1, "", "the closing parenthesis must end the schedule"}
	}
	// Names are compared without case, which must not make other letters equal.
	if i := strings.IndexFunc(expr, func(r rune) bool { return r > '~' }); i >= 0 {
		return words, &SyntaxError{i + 1, "", "a schedule is written in ASCII"}
	}
	n, body := 0, expr[:len(expr)-1]
	for at := len(open); at < len(body); {
		if isSpace(body[at]) {
			at++
			continue
		}
		end := at
		for end < len(body) && !isSpace(body[end]) {
			end++
		}
		if n == len(words) {
			return words, &SyntaxError{at + 1, "", "there are more than six fields; seconds are not part of a schedule"}
		}
		words[n] = word{body[at:end], at + 1}
		n, at = n+1, end
	}
	if n < len(words) {
		return words, &SyntaxError{len(body) + 1, "", fmt.Sprintf("%d of six fields are given; %s is missing", n, fields[n].name)}
	}
	return words, nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// parseField reads one field: a list of items.
func (s *Schedule) parseField(i int, w word) error {
	at := w.column
	for item := range strings.SplitSeq(w.text, ",") {
		if err := s.parseItem(i, word{strings.ToUpper(item), at}); err != nil {
			return err
		}
		at += len(item) + 1
	}
	return nil
}

// parseItem reads one item of a list: a wildcard, or values with a step.
func (s *Schedule) parseItem(i int, w word) error {
	f := fields[i]
	if done, err := s.parseSpecial(i, w); done || err != nil {
		return err
	}
	values, stepText, stepped := strings.Cut(w.text, "/")
	lo, hi, err := f.values(word{values, w.column})
	if err != nil {
		return err
	}
	step := 1
	if stepped {
		at := w.column + len(values) + 1
		n, ok := number(stepText)
		// A longer step would silently fire once per round, which nobody means.
		if most := f.max - f.min + 1; !ok || n < 1 || n > most {
			return f.fault(at, "%q is not a step from 1 to %d", stepText, most)
		}
		step = n
		if lo == hi && values != "*" && !strings.Contains(values, "-") {
			hi = f.max // a/b starts at a
		}
	}
	for v := lo; v <= hi; v += step {
		s.set(i, v)
	}
	return nil
}

// parseSpecial reads ?, L, W and what goes with them.
func (s *Schedule) parseSpecial(i int, w word) (done bool, err error) {
	f := fields[i]
	n, numeric := number(strings.TrimRight(w.text, "LW"))
	switch {
	case strings.Contains(w.text, "#"):
		return false, f.fault(w.column, "# is not part of Glue's schedules")
	case strings.Contains(w.text, "?"):
		if f.day {
			return false, f.fault(w.column, "? must stand alone")
		}
		return false, f.fault(w.column, "? can stand only in a day field")
	case i == dayOfMonth && strings.HasPrefix(w.text, "L-"):
		return false, f.fault(w.column, "days counted from the end of the month are not part of Glue's schedules")
	case i == dayOfMonth && w.text == "L":
		s.lastDay = true
	case i == dayOfMonth && w.text == "LW":
		s.lastWorkday = true
	case i == dayOfMonth && numeric && w.text == strings.TrimRight(w.text, "LW")+"W":
		if n < f.min || n > f.max {
			return false, f.outside(w.column, w.text[:len(w.text)-1])
		}
		s.nearest |= 1 << n
	case i == dayOfWeek && w.text == "L":
		s.weekdays |= 1 << f.max // Saturday
	case i == dayOfWeek && numeric && w.text == strings.TrimRight(w.text, "LW")+"L":
		if n < f.min || n > f.max {
			return false, f.outside(w.column, w.text[:len(w.text)-1])
		}
		s.lastOf |= 1 << n
	default:
		return false, nil
	}
	return true, nil
}

// values reads *, a value, or a range of two.
func (f field) values(w word) (lo, hi int, err error) {
	if w.text == "*" {
		return f.min, f.max, nil
	}
	from, to, ranged := strings.Cut(w.text, "-")
	if lo, err = f.value(word{from, w.column}); err != nil || !ranged {
		return lo, lo, err
	}
	if hi, err = f.value(word{to, w.column + len(from) + 1}); err != nil {
		return 0, 0, err
	}
	if hi < lo {
		return 0, 0, f.fault(w.column, "the range %s runs backwards", w.text)
	}
	return lo, hi, nil
}

func (f field) value(w word) (int, error) {
	if w.text == "" {
		return 0, f.fault(w.column, "a value is missing")
	}
	if len(w.text) == 3 {
		if i := strings.Index(f.names, w.text); i >= 0 && i%3 == 0 {
			return f.min + i/3, nil
		}
	}
	n, ok := number(w.text)
	if !ok {
		return 0, f.fault(w.column, "%q is not a value", w.text)
	}
	if n < f.min || n > f.max {
		return 0, f.outside(w.column, w.text)
	}
	return n, nil
}

func (f field) outside(column int, text string) error {
	return f.fault(column, "%s is not from %d to %d", text, f.min, f.max)
}

func (f field) fault(column int, format string, args ...any) error {
	return &SyntaxError{column, f.name, fmt.Sprintf(format, args...)}
}

// number reads decimal digits; leading zeros are fine, signs are not.
func number(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err == nil
}

func (s *Schedule) set(i, v int) {
	switch i {
	case 0:
		s.minutes |= 1 << v
	case 1:
		s.hours |= 1 << v
	case dayOfMonth:
		s.days |= 1 << v
	case 3:
		s.months |= 1 << v
	case dayOfWeek:
		s.weekdays |= 1 << v
	default:
		s.years[(v-firstYear)/64] |= 1 << ((v - firstYear) % 64)
	}
}
