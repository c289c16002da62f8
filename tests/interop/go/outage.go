package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

const (
	progressEvery = 100
	bodyBytes     = 1024
	// Between a failed send and the next.
	afterFailure = 100 * time.Millisecond
	// Sends that must all be good, and how long they are tried.
	recovered     = 100
	recoveryLimit = 90 * time.Second
)

// place is a queue and an offset in it.
type place struct {
	broker string
	queue  int
	offset int64
}

// standing is a message in its place.
type standing struct {
	id       string
	sequence int
	at       place
}

// ledger holds what became of messages, each by the unique id that a client keeps over its own retries.
type ledger struct {
	lock                                    sync.Mutex
	sent                                    map[string]bool
	acknowledged                            map[string]place
	arrived                                 map[string]map[place]bool
	queues                                  map[string]map[int64]standing
	last                                    map[string]int64
	failures                                map[string]int
	failed, deliveries, disordered          int
	longestSend, longestPause, longestQuiet time.Duration
	lastAcknowledged, lastArrival           time.Time
}

// checkOutage sends and consumes while somebody else kills servers, with the settings that clients have by default, and
// counts what becomes of each message. It obeys the lines of its input as the Java driver's check of the same name does:
// `consume`, `send sync COUNT`, `recover sync`, and at the end of input it waits for the rest.
func checkOutage(r *run) error {
	topic := r.name("t")
	if _, err := r.createTopic(topic); err != nil {
		return err
	}
	p, err := rocketmq.NewProducer(producer.WithNsResolver(r.resolver()), producer.WithGroupName(r.name("pg")),
		producer.WithInstanceName("outage-p-"+r.id))
	if err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	r.closeLater(p.Shutdown)
	l := &ledger{sent: map[string]bool{}, acknowledged: map[string]place{}, arrived: map[string]map[place]bool{},
		queues: map[string]map[int64]standing{}, last: map[string]int64{}, failures: map[string]int{}}
	say("READY")
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		words := strings.Fields(input.Text())
		switch {
		case len(words) == 1 && words[0] == "consume":
			if err := r.consumeInto(l, topic); err != nil {
				return err
			}
			say("CONSUMING")
		case len(words) == 3 && words[0] == "send" && words[1] == "sync":
			count, err := strconv.Atoi(words[2])
			if err != nil {
				return err
			}
			l.begin()
			l.send(p, topic, count)
			say("SENT " + l.sends())
		case len(words) == 2 && words[0] == "recover" && words[1] == "sync":
			if err := l.recover(p, topic); err != nil {
				return err
			}
			say("RECOVERED " + l.sends())
		default:
			return fmt.Errorf("expected consume, send sync COUNT or recover sync, saw %q", input.Text())
		}
	}
	l.finish(time.Duration(r.intOption("wait", 120)) * time.Second)
	return nil
}

func say(line string) {
	fmt.Println(line)
}

// consumeInto starts a consumer whose one goroutine sees each queue in order.
func (r *run) consumeInto(l *ledger, topic string) error {
	c, err := rocketmq.NewPushConsumer(consumer.WithNsResolver(r.resolver()), consumer.WithGroupName(r.name("g")),
		consumer.WithInstance("outage-c-"+r.id), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithConsumeGoroutineNums(1))
	if err != nil {
		return err
	}
	err = c.Subscribe(topic, consumer.MessageSelector{},
		func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, message := range messages {
				l.arrive(message)
			}
			return consumer.ConsumeSuccess, nil
		})
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	r.closeLater(c.Shutdown)
	return nil
}

// begin starts the clocks of the pauses anew: what lies between two rounds of sends is no outage.
func (l *ledger) begin() {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.lastAcknowledged, l.lastArrival = time.Now(), time.Now()
}

// recover sends on, a hundred at a time, until none of a hundred fails.
func (l *ledger) recover(p rocketmq.Producer, topic string) error {
	for end := time.Now().Add(recoveryLimit); ; {
		if l.send(p, topic, recovered) == 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("sends still fail after %v: %v", recoveryLimit, l.failures)
		}
	}
}

// send returns how many failed.
func (l *ledger) send(p rocketmq.Producer, topic string, count int) int {
	l.lock.Lock()
	first, before := len(l.sent), l.failed
	l.lock.Unlock()
	for i := first; i < first+count; i++ {
		message := primitive.NewMessage(topic, make([]byte, bodyBytes))
		message.WithProperty("sequence", fmt.Sprint(i))
		began := time.Now()
		result, err := p.SendSync(context.Background(), message)
		done, failed := l.note(message, result, err, began)
		if done%progressEvery == 0 {
			say(fmt.Sprint("AT ", done))
		}
		if failed {
			time.Sleep(afterFailure)
		}
	}
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.failed - before
}

// note keeps what came of a send; another status than SendOK is a promise less, and counts as a failure.
func (l *ledger) note(message *primitive.Message, result *primitive.SendResult, err error, began time.Time) (int, bool) {
	l.lock.Lock()
	defer l.lock.Unlock()
	before := l.failed
	id := message.GetProperty(primitive.PropertyUniqueClientMessageIdKeyIndex)
	if id == "" {
		id = "never left " + message.GetProperty("sequence")
	}
	l.sent[id] = true
	switch {
	case err != nil:
		l.failed++
		l.failures[reason(err)]++
	case result.Status != primitive.SendOK:
		l.failed++
		l.failures[fmt.Sprint("status ", result.Status)]++
	default:
		now := time.Now()
		l.longestSend = max(l.longestSend, now.Sub(began))
		l.longestPause = max(l.longestPause, now.Sub(l.lastAcknowledged))
		l.lastAcknowledged = now
		queue := result.MessageQueue
		l.acknowledged[id] = place{queue.BrokerName, queue.QueueId, result.QueueOffset}
	}
	return len(l.acknowledged) + l.failed, l.failed > before
}

var variable = regexp.MustCompile(`[0-9][0-9.:]+`)

// reason is short enough to be counted by: the innermost error without addresses.
func reason(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	text := variable.ReplaceAllString(strings.ReplaceAll(err.Error(), "\n", " "), "#")
	return text[:min(len(text), 80)]
}

func (l *ledger) arrive(message *primitive.MessageExt) {
	l.lock.Lock()
	defer l.lock.Unlock()
	now := time.Now()
	if !l.lastArrival.IsZero() {
		l.longestQuiet = max(l.longestQuiet, now.Sub(l.lastArrival))
	}
	l.lastArrival = now
	l.deliveries++
	at := place{message.Queue.BrokerName, message.Queue.QueueId, message.QueueOffset}
	if l.arrived[message.MsgId] == nil {
		l.arrived[message.MsgId] = map[place]bool{}
	}
	l.arrived[message.MsgId][at] = true
	queue := fmt.Sprint(at.broker, "/", at.queue)
	if l.queues[queue] == nil {
		l.queues[queue] = map[int64]standing{}
	}
	sequence, err := strconv.Atoi(message.GetProperty("sequence"))
	last, known := l.last[queue]
	_, again := l.queues[queue][at.offset]
	if err != nil || known && at.offset < last && !again {
		l.disordered++
	}
	l.queues[queue][at.offset] = standing{message.MsgId, sequence, at}
	l.last[queue] = max(last, at.offset)
}

// behindLater counts acknowledged messages that stand behind one that was sent later. What was sent in vain may be stored at
// any time, as long as a connection keeps it.
func (l *ledger) behindLater() int {
	behind := 0
	for _, queue := range l.queues {
		var offsets []int64
		for offset := range queue {
			offsets = append(offsets, offset)
		}
		slices.Sort(offsets)
		latest := -1
		for _, offset := range offsets {
			one := queue[offset]
			if promised, is := l.acknowledged[one.id]; !is || promised != one.at {
				continue
			}
			if one.sequence < latest {
				behind++
			}
			latest = max(latest, one.sequence)
		}
	}
	return behind
}

func (l *ledger) sends() string {
	l.lock.Lock()
	defer l.lock.Unlock()
	return fmt.Sprintf("sent=%d acknowledged=%d failed=%d", len(l.sent), len(l.acknowledged), l.failed)
}

func (l *ledger) lost() int {
	l.lock.Lock()
	defer l.lock.Unlock()
	lost := 0
	for id := range l.acknowledged {
		if l.arrived[id] == nil {
			lost++
		}
	}
	return lost
}

func (l *ledger) finish(limit time.Duration) {
	for end := time.Now().Add(limit); l.lost() > 0 && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	// Surplus shows a little later.
	time.Sleep(time.Second)
	sends, lost := l.sends(), l.lost()
	l.lock.Lock()
	defer l.lock.Unlock()
	places, strangers, unpromised, misplaced := 0, 0, 0, 0
	for id, found := range l.arrived {
		places += len(found)
		if !l.sent[id] {
			strangers++
		}
		if _, promised := l.acknowledged[id]; !promised {
			unpromised++
		}
	}
	for id, promised := range l.acknowledged {
		if found := l.arrived[id]; found != nil && !found[promised] {
			misplaced++
		}
	}
	for why, times := range l.failures {
		say(fmt.Sprintf("FAILED %d x %s", times, why))
	}
	say(fmt.Sprintf("COUNTS %s lost=%d misplaced=%d strangers=%d unpromised=%d stored_twice=%d delivered_twice=%d "+
		"disordered=%d longest_send_ms=%d longest_pause_ms=%d longest_silence_ms=%d", sends, lost, misplaced, strangers,
		unpromised, places-len(l.arrived), l.deliveries-places, l.disordered+l.behindLater(), l.longestSend.Milliseconds(),
		l.longestPause.Milliseconds(), l.longestQuiet.Milliseconds()))
}
