package cron

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const layout = "2006-01-02 15:04"

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(layout, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The first times at which schedules of spec/workflows §4.7 fire.
func TestNext(t *testing.T) {
	tests := []struct {
		expr, after string
		want        []string
	}{
		{"cron(0 12 * * ? *)", "2024-02-28 12:00", []string{"2024-02-29 12:00", "2024-03-01 12:00"}},
		{"cron(0 12 ? * * *)", "2024-02-28 11:59", []string{"2024-02-28 12:00", "2024-02-29 12:00"}},
		{"cron(1/10 0 1 1 ? 2030)", "2024-01-01 00:00", []string{"2030-01-01 00:01", "2030-01-01 00:11", "2030-01-01 00:21"}},
		{"cron(*/15 * * * ? *)", "2024-01-01 23:40", []string{"2024-01-01 23:45", "2024-01-02 00:00"}},
		{"cron(0/15 * * * ? *)", "2024-01-01 23:40", []string{"2024-01-01 23:45", "2024-01-02 00:00"}},
		{"cron(0 8-18/2 ? * MON-FRI *)", "2024-05-31 15:00", []string{"2024-05-31 16:00", "2024-05-31 18:00", "2024-06-03 08:00"}},
		{"cron(0 06-20 ? * mon-Fri *)", "2024-05-31 19:30", []string{"2024-05-31 20:00", "2024-06-03 06:00"}},
		{"cron(30 5 L * ? *)", "2023-02-01 00:00", []string{"2023-02-28 05:30", "2023-03-31 05:30"}},
		{"cron(30 5 L 2 ? *)", "2096-03-01 00:00", []string{"2097-02-28 05:30", "2098-02-28 05:30"}},
		{"cron(0 0 ? * L *)", "2024-06-03 00:00", []string{"2024-06-08 00:00", "2024-06-15 00:00"}},
		{"cron(0 0 ? * 7 *)", "2024-06-03 00:00", []string{"2024-06-08 00:00"}},
		{"cron(0 0 ? * 1 *)", "2024-06-03 00:00", []string{"2024-06-09 00:00"}},
		{"cron(15 10 ? * 6L 2024-2025)", "2024-01-01 00:00", []string{"2024-01-26 10:15", "2024-02-23 10:15"}},
		{"cron(0 9 1W * ? *)", "2024-05-15 00:00", []string{"2024-06-03 09:00", "2024-07-01 09:00"}},  // 1 June is a Saturday
		{"cron(0 9 15W * ? *)", "2024-06-01 00:00", []string{"2024-06-14 09:00", "2024-07-15 09:00"}}, // 15 June is a Saturday
		{"cron(0 9 16W * ? *)", "2024-06-01 00:00", []string{"2024-06-17 09:00"}},                     // 16 June is a Sunday
		{"cron(0 9 31W * ? *)", "2024-03-01 00:00", []string{"2024-03-29 09:00", "2024-05-31 09:00"}}, // 31 March is a Sunday; April has no 31
		{"cron(0 9 LW * ? *)", "2024-03-01 00:00", []string{"2024-03-29 09:00", "2024-04-30 09:00", "2024-05-31 09:00", "2024-06-28 09:00"}},
		{"cron(0 0 31 * ? *)", "2024-03-31 00:00", []string{"2024-05-31 00:00", "2024-07-31 00:00"}},
		{"cron(0 0 29 2 ? *)", "2096-03-01 00:00", []string{"2104-02-29 00:00"}}, // 2100 is no leap year
		{"cron(0 0 1,15,L JAN,jul ? *)", "2024-01-01 00:00", []string{"2024-01-15 00:00", "2024-01-31 00:00", "2024-07-01 00:00"}},
		{"cron(59 23 31 12 ? 2199)", "2024-01-01 00:00", []string{"2199-12-31 23:59"}},
		{"cron(0 0 1 1 ? 1970/115)", "1960-01-01 00:00", []string{"1970-01-01 00:00", "2085-01-01 00:00"}},
		{"cron( 0\t12  * * ? * )", "2024-01-01 00:00", []string{"2024-01-01 12:00"}},
		{"cron(5,5,00005 1 * * ? *)", "2024-01-01 00:00", []string{"2024-01-01 01:05", "2024-01-02 01:05"}},
	}
	for _, tt := range tests {
		t.Run(tt.expr, func(t *testing.T) {
			s, err := Parse(tt.expr)
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			if s.String() != tt.expr {
				t.Errorf("String = %q", s.String())
			}
			now := at(t, tt.after)
			for _, want := range tt.want {
				next, ok := s.Next(now)
				if !ok || next.Format(layout) != want {
					t.Fatalf("Next(%s) = %s, %v; want %s", now.Format(layout), next.Format(layout), ok, want)
				}
				now = next
			}
		})
	}
}

// Next counts in UTC, at minute resolution, and ends with the year 2199.
func TestNextEdges(t *testing.T) {
	every := mustParse(t, "cron(* * * * ? *)")
	east := time.FixedZone("", 5*3600+45*60)
	tests := []struct {
		name  string
		s     Schedule
		after time.Time
		want  string // "" is never
	}{
		{"seconds are cut off", every, time.Date(2024, 1, 1, 0, 0, 59, 999, time.UTC), "2024-01-01 00:01"},
		{"a zone is converted", mustParse(t, "cron(0 12 * * ? *)"), time.Date(2024, 1, 1, 17, 44, 0, 0, east), "2024-01-01 12:00"},
		{"the last minute", every, time.Date(2199, 12, 31, 23, 58, 0, 0, time.UTC), "2199-12-31 23:59"},
		{"after the last minute", every, time.Date(2199, 12, 31, 23, 59, 0, 0, time.UTC), ""},
		{"long after", every, time.Date(99999, 1, 1, 0, 0, 0, 0, time.UTC), ""},
		{"before the first minute", every, time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC), "1970-01-01 00:00"},
		{"long before", every, time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), "1970-01-01 00:00"},
		{"a day that never is", mustParse(t, "cron(0 0 30 2 ? *)"), time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), ""},
		{"entirely in the past", mustParse(t, "cron(0 0 1 1 ? 2001)"), time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), ""},
		{"the zero value", Schedule{}, time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), ""},
	}
	for _, tt := range tests {
		next, ok := tt.s.Next(tt.after)
		if ok != (tt.want != "") || ok && next.Format(layout) != tt.want {
			t.Errorf("%s: Next = %s, %v; want %q", tt.name, next.Format(layout), ok, tt.want)
		}
	}
}

// What is not in the table of spec/workflows §4.7 is refused, with its place.
func TestParseRefuses(t *testing.T) {
	tests := []struct{ expr, want string }{
		{"", "column 1: a schedule is written cron("},
		{"0 12 * * ? *", "column 1: a schedule is written cron("},
		{"CRON(0 12 * * ? *)", "column 1: a schedule is written cron("},
		{" cron(0 12 * * ? *)", "column 1: a schedule is written cron("},
		{"rate(5 minutes)", "column 1: rate() is not part"},
		{"cron(0 12 * * ? *", "column 18: the closing parenthesis"},
		{"cron(0 12 * * ? *) ", "column 20: the closing parenthesis"},
		{"cron()", "column 6: 0 of six fields are given; Minutes is missing"},
		{"cron(0 12 * * ?)", "column 16: 5 of six fields are given; Year is missing"},
		{"cron(0 0 12 * * ? *)", "column 19: there are more than six fields; seconds"},
		{"cron(0 12 * * * *)", "column 15, Day-of-week: must be ? when Day-of-month is not"},
		{"cron(0 12 1 * MON *)", "column 15, Day-of-week: must be ? when"},
		{"cron(0 12 ? * ? *)", "column 15, Day-of-week: only one of the two day fields can be ?"},
		{"cron(? 12 * * ? *)", "column 6, Minutes: ? can stand only in a day field"},
		{"cron(0 12 ?,1 * ? *)", "column 11, Day-of-month: ? must stand alone"},
		{"cron(60 12 * * ? *)", "column 6, Minutes: 60 is not from 0 to 59"},
		{"cron(0 24 * * ? *)", "column 8, Hours: 24 is not from 0 to 23"},
		{"cron(0 12 0 * ? *)", "column 11, Day-of-month: 0 is not from 1 to 31"},
		{"cron(0 12 32 * ? *)", "column 11, Day-of-month: 32 is not from 1 to 31"},
		{"cron(0 12 * 13 ? *)", "column 13, Month: 13 is not from 1 to 12"},
		{"cron(0 12 ? * 0 *)", "column 15, Day-of-week: 0 is not from 1 to 7"},
		{"cron(0 12 ? * 8L *)", "column 15, Day-of-week: 8 is not from 1 to 7"},
		{"cron(0 12 * * ? 1969)", "column 17, Year: 1969 is not from 1970 to 2199"},
		{"cron(0 12 * * ? 2200)", "column 17, Year: 2200 is not from 1970 to 2199"},
		{"cron(2.3 12 * * ? *)", `column 6, Minutes: "2.3" is not a value`},
		{"cron(-1 12 * * ? *)", "column 6, Minutes: a value is missing"},
		{"cron(+1 12 * * ? *)", `column 6, Minutes: "+1" is not a value`},
		{"cron(99999999999999999999 1 * * ? *)", `column 6, Minutes: "99999999999999999999" is not a value`},
		{"cron(1,,2 12 * * ? *)", "column 8, Minutes: a value is missing"},
		{"cron(1, 12 * * ? *)", "column 8, Minutes: a value is missing"},
		{"cron(0,61 12 * * ? *)", "column 8, Minutes: 61 is not"},
		{"cron(5-1 12 * * ? *)", "column 6, Minutes: the range 5-1 runs backwards"},
		{"cron(0 12 ? * FRI-MON *)", "column 15, Day-of-week: the range FRI-MON runs backwards"},
		{"cron(1-2-3 12 * * ? *)", `column 8, Minutes: "2-3" is not a value`},
		{"cron(*-3 12 * * ? *)", `column 6, Minutes: "*" is not a value`},
		{"cron(0/0 12 * * ? *)", `column 8, Minutes: "0" is not a step from 1 to 60`},
		{"cron(0/90 12 * * ? *)", `column 8, Minutes: "90" is not a step from 1 to 60`},
		{"cron(0/ 12 * * ? *)", `column 8, Minutes: "" is not a step`},
		{"cron(0/5/5 12 * * ? *)", `column 8, Minutes: "5/5" is not a step`},
		{"cron(/5 12 * * ? *)", "column 6, Minutes: a value is missing"},
		{"cron(0 12 ? * 2#1 *)", "column 15, Day-of-week: # is not part"},
		{"cron(0 12 L-3 * ? *)", "column 11, Day-of-month: days counted from the end"},
		{"cron(0 12 ? * L-3 *)", `column 15, Day-of-week: "L" is not a value`},
		{"cron(0 12 ? * LW *)", `column 15, Day-of-week: "LW" is not a value`},
		{"cron(0 12 ? * 5W *)", `column 15, Day-of-week: "5W" is not a value`},
		{"cron(0 12 3L * ? *)", `column 11, Day-of-month: "3L" is not a value`},
		{"cron(0 12 W * ? *)", `column 11, Day-of-month: "W" is not a value`},
		{"cron(0 12 5LW * ? *)", `column 11, Day-of-month: "5LW" is not a value`},
		{"cron(0 12 1-5W * ? *)", `column 13, Day-of-month: "5W" is not a value`},
		{"cron(0 12 32W * ? *)", "column 11, Day-of-month: 32 is not from 1 to 31"},
		{"cron(0 12 L/2 * ? *)", `column 11, Day-of-month: "L" is not a value`},
		{"cron(L 12 * * ? *)", `column 6, Minutes: "L" is not a value`},
		{"cron(0 12 * FOO ? *)", `column 13, Month: "FOO" is not a value`},
		{"cron(0 12 * ANF ? *)", `column 13, Month: "ANF" is not a value`},
		{"cron(0 12 ? * JAN *)", `column 15, Day-of-week: "JAN" is not a value`},
		{"cron(0 12 ? * ſUN *)", "column 15: a schedule is written in ASCII"},
	}
	for _, tt := range tests {
		s, err := Parse(tt.expr)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("Parse(%q) = %v, want %q", tt.expr, err, tt.want)
		}
		if s != (Schedule{}) {
			t.Errorf("Parse(%q) returned a schedule beside its error", tt.expr)
		}
	}
}

// The five-minute rule of spec/workflows §4.7 stands on MinInterval.
func TestMinInterval(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		expr string
		want time.Duration
	}{
		{"cron(* * * * ? *)", time.Minute},
		{"cron(0/5 * * * ? *)", 5 * time.Minute},
		{"cron(0/4 * * * ? *)", 4 * time.Minute},
		{"cron(0/7 * * * ? *)", 4 * time.Minute}, // from :56 across the hour
		{"cron(0/7 12 * * ? *)", 7 * time.Minute},
		{"cron(1,57 * * * ? *)", 4 * time.Minute},
		{"cron(1,57 0/2 * * ? *)", 56 * time.Minute},
		{"cron(1,57 23,0 * * ? *)", 4 * time.Minute},   // across midnight
		{"cron(1,57 23,0 1/2 * ? *)", 4 * time.Minute}, // the 31st and the 1st are neighbours
		{"cron(1,57 23,0 2/2 1-11/2 ? *)", 56 * time.Minute},
		{"cron(0 12 * * ? *)", day},
		{"cron(0 12 ? * MON *)", 7 * day},
		{"cron(0 12 ? * MON,THU *)", 3 * day},
		{"cron(0 12 1 * ? *)", 28 * day},
		{"cron(0 12 1,L * ? *)", day},
		{"cron(0 12 1 1 ? *)", 365 * day},
		{"cron(0 12 29 2 ? *)", 1461 * day},
		{"cron(0 12 1 1 ? 2024)", Never},
		{"cron(0 12 30 2 ? *)", Never},
		{"cron(0,1 12 30 2 ? *)", Never},
	}
	for _, tt := range tests {
		if got := mustParse(t, tt.expr).MinInterval(); got != tt.want {
			t.Errorf("%s: MinInterval = %v, want %v", tt.expr, got, tt.want)
		}
	}
	if got := (Schedule{}).MinInterval(); got != Never {
		t.Errorf("zero value: MinInterval = %v", got)
	}
}

func mustParse(t testing.TB, expr string) Schedule {
	t.Helper()
	s, err := Parse(expr)
	if err != nil {
		t.Fatalf("Parse(%q): %v", expr, err)
	}
	return s
}

// Next agrees with a scan that asks of every minute whether the text names it.
func TestNextAgreesWithScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := drawWords(t)
		expr := "cron(" + strings.Join(words[:], " ") + ")"
		s, err := Parse(expr)
		if err != nil {
			t.Fatalf("Parse(%q): %v", expr, err)
		}
		first := time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC)
		now := first.Add(time.Duration(rapid.IntRange(-1, 230*365*24*60).Draw(t, "minute")) * time.Minute)
		end := now.AddDate(0, 0, 90)
		for range 6 {
			want, found := scan(words, now, end)
			next, ok := s.Next(now)
			if found && (!ok || !next.Equal(want)) {
				t.Fatalf("%s: Next(%s) = %v, %v; the scan finds %s", expr, now.Format(layout), next, ok, want.Format(layout))
			}
			if !found {
				if ok && next.Before(end) {
					t.Fatalf("%s: Next(%s) = %s, which the text does not name", expr, now.Format(layout), next.Format(layout))
				}
				break
			}
			if d := next.Sub(now); !now.Before(first) && fires(words, now) && d < s.MinInterval() {
				t.Fatalf("%s: %s and %s are closer than %v", expr, now, next, s.MinInterval())
			}
			now = next
		}
	})
}

// scan returns the first minute after the given one, and before end, that the
// words name.
func scan(words [6]string, after, end time.Time) (time.Time, bool) {
	t := after.Add(time.Minute)
	for t.Before(end) {
		if !dayFires(words, t) {
			t = time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if named(words[0], t.Minute(), 0, "") && named(words[1], t.Hour(), 0, "") {
			return t, true
		}
		t = t.Add(time.Minute)
	}
	return t, false
}

func fires(words [6]string, t time.Time) bool {
	return dayFires(words, t) && named(words[0], t.Minute(), 0, "") && named(words[1], t.Hour(), 0, "")
}

const (
	monthNames   = "   JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"
	weekdayNames = "   SUNMONTUEWEDTHUFRISAT"
)

func dayFires(words [6]string, t time.Time) bool {
	if t.Year() < firstYear || t.Year() > lastYear ||
		!named(words[5], t.Year(), firstYear, "") || !named(words[3], int(t.Month()), 1, monthNames) {
		return false
	}
	last := time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	if words[2] == "?" {
		return slices.ContainsFunc(strings.Split(words[4], ","), func(item string) bool {
			switch n, isLast := strings.CutSuffix(item, "L"); {
			case item == "L":
				return t.Weekday() == time.Saturday
			case isLast:
				return named(n, int(t.Weekday())+1, 1, "") && t.AddDate(0, 0, 7).Month() != t.Month()
			}
			return named(item, int(t.Weekday())+1, 1, weekdayNames)
		})
	}
	return slices.ContainsFunc(strings.Split(words[2], ","), func(item string) bool {
		switch n, near := strings.CutSuffix(item, "W"); {
		case item == "L":
			return t.Day() == last
		case item == "LW":
			return nearestTo(t, last)
		case near:
			d, _ := strconv.Atoi(n)
			return d <= last && nearestTo(t, d)
		}
		return named(item, t.Day(), 1, "")
	})
}

// nearestTo tells whether no day from Monday to Friday of t's month is nearer to
// day d than t; two cannot be equally near.
func nearestTo(t time.Time, d int) bool {
	best, found := 0, false
	for day := 1; day <= 31; day++ {
		x := time.Date(t.Year(), t.Month(), day, 0, 0, 0, 0, time.UTC)
		if x.Month() != t.Month() || x.Weekday() == time.Saturday || x.Weekday() == time.Sunday {
			continue
		}
		if abs := max(day-d, d-day); !found || abs < max(best-d, d-best) {
			best, found = day, true
		}
	}
	return t.Day() == best
}

// named tells whether a list names v. Values wrap nowhere and count from first.
func named(list string, v, first int, names string) bool {
	value := func(s string) int {
		if i := strings.Index(names, strings.ToUpper(s)); i > 0 {
			return i / 3
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			panic(err)
		}
		return n
	}
	return slices.ContainsFunc(strings.Split(list, ","), func(item string) bool {
		base, stepText, stepped := strings.Cut(item, "/")
		step := 1
		if stepped {
			step = value(stepText)
		}
		lo, hi := first, 9999
		if from, to, ranged := strings.Cut(base, "-"); ranged {
			lo, hi = value(from), value(to)
		} else if base != "*" {
			lo = value(base)
			if !stepped {
				hi = lo
			}
		}
		return v >= lo && v <= hi && (v-lo)%step == 0
	})
}

func drawWords(t *rapid.T) [6]string {
	number := func(f field) string {
		n := rapid.IntRange(f.min, f.max).Draw(t, f.name)
		if f.names != "" && rapid.Bool().Draw(t, "by name") {
			name := f.names[3*(n-f.min):][:3]
			return rapid.SampledFrom([]string{name, strings.ToLower(name)}).Draw(t, "case")
		}
		return fmt.Sprintf("%0*d", rapid.IntRange(1, 3).Draw(t, "width"), n)
	}
	item := func(f field) string {
		step := strconv.Itoa(rapid.IntRange(1, min(f.max-f.min+1, 70)).Draw(t, "step"))
		switch rapid.IntRange(0, 6).Draw(t, "form") {
		case 0:
			return number(f)
		case 1:
			return number(f) + "/" + step
		case 2:
			return "*/" + step
		case 3, 4:
			a := rapid.IntRange(f.min, f.max).Draw(t, "from")
			b := rapid.IntRange(a, f.max).Draw(t, "to")
			s := fmt.Sprintf("%d-%d", a, b)
			if rapid.Bool().Draw(t, "stepped") {
				s += "/" + step
			}
			return s
		default:
			return "*"
		}
	}
	var words [6]string
	blank := rapid.SampledFrom([]int{dayOfMonth, dayOfWeek}).Draw(t, "blank")
	for i, f := range fields {
		if i == blank {
			words[i] = "?"
			continue
		}
		items := make([]string, rapid.IntRange(1, 3).Draw(t, "items"))
		for j := range items {
			items[j] = item(f)
			special := rapid.IntRange(0, 5).Draw(t, "special")
			switch n := rapid.IntRange(f.min, f.max).Draw(t, "n"); {
			case i == dayOfMonth && special < 3:
				items[j] = []string{"L", "LW", strconv.Itoa(n) + "W"}[special]
			case i == dayOfWeek && special < 2:
				items[j] = []string{"L", strconv.Itoa(n) + "L"}[special]
			}
		}
		words[i] = strings.Join(items, ",")
	}
	return words
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"cron(0 12 * * ? *)", "cron(0/5 8-18/2 ? JAN-MAR 6L 2024)", "cron(1,2 3 LW,15W * ? 1970/7)", "rate(1 day)", "cron(", "cron(/ , - # L W)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		s, err := Parse(expr)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Column < 1 || syntax.Column > len(expr)+1 {
				t.Fatalf("Parse(%q): %v", expr, err)
			}
			return
		}
		if least := s.MinInterval(); least < time.Minute {
			t.Fatalf("%q: MinInterval = %v", expr, least)
		}
		now := time.Date(2024, 2, 28, 23, 59, 30, 0, time.UTC)
		for range 3 {
			next, ok := s.Next(now)
			if !ok {
				break
			}
			if !next.After(now) || next.Second() != 0 || next.Year() > lastYear {
				t.Fatalf("%q: Next(%s) = %s", expr, now, next)
			}
			now = next
		}
	})
}
