// Package cron reads AWS Glue's schedule expressions and says when they fire
// (spec/workflows §4.7). It guarantees that what Parse accepts has one meaning:
// Next finds every minute that the expression names, in UTC, from 1970 to 2199,
// and no other.
//
// It has no clock, and it does not judge how fast a schedule may be: MinInterval
// measures, the API refuses. EventBridge's rate() and #, Quartz's seconds and
// L-n, and time zones are no part of Glue's grammar and are errors here.
package cron

import (
	"math"
	"math/bits"
	"time"
)

// The years that a schedule can fire in.
const (
	firstYear = 1970
	lastYear  = 2199
)

// Never is the interval of a schedule that fires once or never.
const Never = time.Duration(math.MaxInt64)

// Schedule is a set of minutes. The zero value never fires.
type Schedule struct {
	text    string
	minutes uint64    // bit m
	hours   uint64    // bit h
	months  uint64    // bit m, January is 1
	years   [4]uint64 // bit y - firstYear

	// Exactly one of the two day fields speaks; the other is "?".
	byWeekday   bool
	days        uint64 // bit d, from 1
	nearest     uint64 // nW: the weekday nearest to day n
	lastDay     bool   // L
	lastWorkday bool   // LW
	weekdays    uint64 // bit w, Sunday is 1
	lastOf      uint64 // nL: the last weekday n of the month
}

// String returns the expression as it was given to Parse.
func (s Schedule) String() string { return s.text }

// Next returns the first minute after the given time at which the schedule
// fires, in UTC; false if there is none before 2200.
func (s Schedule) Next(after time.Time) (time.Time, bool) {
	after = after.UTC()
	if after.Year() > lastYear {
		return time.Time{}, false
	}
	from := time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC)
	if !after.Before(from) {
		from = after.Truncate(time.Minute).Add(time.Minute)
	}
	// Only the first day can begin in its middle; later ones count from midnight.
	year, month, day := from.Date()
	minute := from.Hour()*60 + from.Minute()
	for ; year <= lastYear; year, month, day, minute = year+1, 1, 1, 0 {
		if !s.hasYear(year) {
			continue
		}
		for ; month <= time.December; month, day, minute = month+1, 1, 0 {
			if s.months&(1<<month) == 0 {
				continue
			}
			for d := range each(above(s.daysOf(year, month), day)) {
				if d != day {
					minute = 0
				}
				if m, ok := s.timeOfDay(minute); ok {
					return time.Date(year, month, d, m/60, m%60, 0, 0, time.UTC), true
				}
			}
		}
	}
	return time.Time{}, false
}

// timeOfDay returns the first minute of a day at or after the given one.
func (s Schedule) timeOfDay(from int) (int, bool) {
	for h := range each(above(s.hours, from/60)) {
		first := 0
		if h == from/60 {
			first = from % 60
		}
		if rest := above(s.minutes, first); rest != 0 {
			return h*60 + bits.TrailingZeros64(rest), true
		}
	}
	return 0, false
}

// MinInterval returns the smallest distance between two times at which the
// schedule fires, across hours, days and years; Never if there are no two.
func (s Schedule) MinInterval() time.Duration {
	days, fires := s.dayGap()
	if !fires || s.hours == 0 || s.minutes == 0 {
		return Never
	}
	firstMinute, lastMinute := span(s.minutes)
	firstHour, lastHour := span(s.hours)
	least := gap(s.minutes)
	if hours := gap(s.hours); hours != 0 {
		least = lesser(least, hours*60-(lastMinute-firstMinute))
	}
	if days != 0 {
		least = lesser(least, days*24*60-(lastHour-firstHour)*60-(lastMinute-firstMinute))
	}
	if least == 0 {
		return Never
	}
	return time.Duration(least) * time.Minute
}

// dayGap returns the smallest distance in days between two days on which the
// schedule fires, 0 if there are no two, and whether there is any.
func (s Schedule) dayGap() (least int, fires bool) {
	last := 0
	before := 0 // days between the epoch and the month
	for year := firstYear; year <= lastYear; year++ {
		for month := time.January; month <= time.December; month++ {
			if s.hasYear(year) && s.months&(1<<month) != 0 {
				for d := range each(s.daysOf(year, month)) {
					if fires {
						least = lesser(least, before+d-last)
					}
					if least == 1 {
						return 1, true
					}
					last, fires = before+d, true
				}
			}
			before += daysIn(year, month)
		}
	}
	return least, fires
}

func (s Schedule) hasYear(year int) bool {
	i := year - firstYear
	return s.years[i/64]&(1<<(i%64)) != 0
}

// daysOf returns the days of a month on which the schedule fires. A day that the
// month lacks does not fire.
func (s Schedule) daysOf(year int, month time.Month) uint64 {
	last := daysIn(year, month)
	first := int(time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).Weekday())
	weekday := func(d int) int { return (first+d-1)%7 + 1 } // Sunday is 1
	var out uint64
	if s.byWeekday {
		for d := 1; d <= last; d++ {
			bit := uint64(1) << weekday(d)
			if s.weekdays&bit != 0 || s.lastOf&bit != 0 && d+7 > last {
				out |= 1 << d
			}
		}
		return out
	}
	inMonth := uint64(1)<<(last+1) - 1
	out = s.days & inMonth
	if s.lastDay {
		out |= 1 << last
	}
	wanted := s.nearest & inMonth
	if s.lastWorkday {
		wanted |= 1 << last
	}
	for d := range each(wanted) {
		out |= 1 << workday(d, last, weekday(d))
	}
	return out
}

// workday returns the day from Monday to Friday that is nearest to day d without
// leaving the month, which is what Quartz means by W.
func workday(d, last, weekday int) int {
	switch {
	case weekday == 7 && d > 1:
		return d - 1
	case weekday == 7:
		return d + 2
	case weekday == 1 && d < last:
		return d + 1
	case weekday == 1:
		return d - 2
	}
	return d
}

func daysIn(year int, month time.Month) int {
	switch month {
	case time.April, time.June, time.September, time.November:
		return 30
	case time.February:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// above keeps the members of a set that are at least n.
func above(set uint64, n int) uint64 { return set >> n << n }

// each yields the members of a set in order.
func each(set uint64) func(func(int) bool) {
	return func(yield func(int) bool) {
		for ; set != 0; set &= set - 1 {
			if !yield(bits.TrailingZeros64(set)) {
				return
			}
		}
	}
}

// span returns the least and the greatest member of a set that is not empty.
func span(set uint64) (first, last int) {
	return bits.TrailingZeros64(set), bits.Len64(set) - 1
}

// gap returns the smallest distance between two members of a set, 0 if there are
// no two.
func gap(set uint64) (least int) {
	for a := range each(set) {
		if rest := above(set, a+1); rest != 0 {
			least = lesser(least, bits.TrailingZeros64(rest)-a)
		}
	}
	return least
}

// lesser returns the lesser of two distances; a of 0 is none.
func lesser(a, b int) int {
	if a == 0 {
		return b
	}
	return min(a, b)
}
