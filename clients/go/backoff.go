package imagegen

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoffDelays come before each try after a break. With the last one failed, the break stands.
var backoffDelays = []time.Duration{
	100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond,
	1600 * time.Millisecond, 3200 * time.Millisecond, 5 * time.Second,
}

// A retries counts the tries since something was last received.
type retries struct {
	delays []time.Duration
	tries  int
}

// renew: something was received, so the next break is a new one.
func (r *retries) renew() { r.tries = 0 }

// wait waits before the next try. False: there were enough, or the context ended.
func (r *retries) wait(ctx context.Context) bool {
	if r.tries >= len(r.delays) {
		return false
	}
	delay := r.delays[r.tries]
	r.tries++
	// Clients whose connections broke at the same moment shall not come back at the same moment.
	timer := time.NewTimer(delay/2 + rand.N(delay/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
