// Which way a request goes where a unit chooses, and how answers and feedback say it.
package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
)

// Where a router sends a request instead of to one child.
const (
	toAll  = -1
	toNone = -2
)

// route says to which child a request goes.
func (w *walk) route(u *unit, in message) (int, error) {
	if u.is("ROUTER", "ROUTE") {
		out, err := w.call(u, "/route", in)
		if err != nil {
			return 0, err
		}
		return chosen(out.body)
	}
	if u.Implementation == "RANDOM_ABTEST" {
		ratio := 0.5
		if len(u.Parameters) == 1 && u.Parameters[0].Name == "ratioA" {
			var err error
			if ratio, err = strconv.ParseFloat(u.Parameters[0].Value, 32); err != nil {
				return 0, err
			}
		}
		if rand.Float64() < ratio {
			return 0, nil
		}
		return 1, nil
	}
	return toAll, nil
}

// answered is a message of Seldon's, as far as routes are found in it. Other fields than these it must not have.
type answered struct {
	Data *struct {
		Names   any   `json:"names"`
		NDArray []any `json:"ndarray"`
		Tensor  struct {
			Shape  any       `json:"shape"`
			Values []float64 `json:"values"`
		} `json:"tensor"`
	} `json:"data"`
	Meta struct {
		Puid, Tags, RequestPath, Metrics any
		Routing                          map[string]int
	} `json:"meta"`
	Status, BinData, StrData, JSONData, CustomData any
}

func strictly(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// chosen reads a router's answer: a child's number, in a message of Seldon's or in a bare list.
func chosen(body []byte) (int, error) {
	var said answered
	if strictly(body, &said) != nil {
		var bare []int
		if err := json.Unmarshal(body, &bare); err != nil {
			return 0, err
		}
		return bare[0], nil
	}
	if said.Data == nil {
		// The real one falls over it too: the client sees the connection closed.
		panic(http.ErrAbortHandler)
	}
	if values := said.Data.Tensor.Values; len(values) > 0 {
		return int(values[0]), nil
	}
	if rows := said.Data.NDArray; len(rows) > 0 {
		first := rows[0]
		if row, is := first.([]any); is {
			first = row[0]
		}
		number, _ := first.(float64)
		return int(number), nil
	}
	return toAll, nil
}

// wayBack is what feedback says of the way that the answer took which it is about.
func wayBack(body []byte, unit string) int {
	var said struct {
		Request, Truth, Reward any
		Response               answered
	}
	if strictly(body, &said) == nil {
		if way, is := said.Response.Meta.Routing[unit]; is {
			return way
		}
	}
	return toAll
}

func (w *walk) took(u *unit, way int) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.routing[u.Name] = way
}

// withRouting puts the way so far into an answer that has a meta.
func (w *walk) withRouting(out message) message {
	var whole any
	if !w.tellsRouting || json.Unmarshal(out.body, &whole) != nil {
		return out
	}
	if object, is := whole.(map[string]any); is {
		if meta, is := object["meta"].(map[string]any); is {
			meta["routing"] = w.routing
		}
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	body, err := json.Marshal(whole)
	if err != nil {
		return out
	}
	return message{body: body, kind: out.kind}
}
