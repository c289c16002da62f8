package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

const (
	queuesPerBroker     = 4
	maxFailuresPrinted  = 20
	surplusArrivalsWait = 700 * time.Millisecond
)

// run is one execution of one check: where to connect, its own names, the clients to close, the failures.
type run struct {
	namesrv, check, id string
	options            map[string]string
	lock               sync.Mutex
	failed             int
	clients            int
	closers            []func() error
}

func (r *run) fail(format string, values ...interface{}) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.failed++
	if r.failed <= maxFailuresPrinted {
		fmt.Printf("FAIL %s: %s\n", r.check, fmt.Sprintf(format, values...))
	}
}

func (r *run) failures() int {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.failed
}

func (r *run) same(expected, seen interface{}, format string, values ...interface{}) {
	if expected != seen {
		r.fail("%s: expected %v, saw %v", fmt.Sprintf(format, values...), expected, seen)
	}
}

func (r *run) intOption(key string, otherwise int) int {
	if text, found := r.options[key]; found {
		if value, err := strconv.Atoi(text); err == nil {
			return value
		}
		r.fail("option %s=%s is not a number", key, text)
	}
	return otherwise
}

func (r *run) name(part string) string {
	return "it-go-" + r.check + "-" + part + "-" + r.id
}

func (r *run) random(stream int) *rand.Rand {
	hash := fnv.New64a()
	fmt.Fprint(hash, r.id, r.check, stream)
	return rand.New(rand.NewSource(int64(hash.Sum64())))
}

func (r *run) resolver() primitive.NsResolver {
	return primitive.NewPassthroughResolver(strings.Split(r.namesrv, ";"))
}

func (r *run) closeLater(closer func() error) {
	r.closers = append(r.closers, closer)
}

func (r *run) close() {
	for i := len(r.closers) - 1; i >= 0; i-- {
		if err := r.closers[i](); err != nil {
			r.fail("closing a client: %v", err)
		}
	}
}

func (r *run) producer() (rocketmq.Producer, error) {
	r.clients++
	p, err := rocketmq.NewProducer(
		producer.WithNsResolver(r.resolver()),
		producer.WithGroupName(r.name("pg")),
		producer.WithInstanceName(fmt.Sprintf("p%d-%s", r.clients, r.id)),
		producer.WithSendMsgTimeout(10*time.Second),
		producer.WithRetry(0),
		producer.WithQueueSelector(producer.NewManualQueueSelector()))
	if err != nil {
		return nil, err
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	r.closeLater(p.Shutdown)
	return p, nil
}

// consumer reads a topic with one goroutine, so that each queue is seen in order.
func (r *run) consumer(group, topic, tags string, box *mailbox) error {
	r.clients++
	c, err := rocketmq.NewPushConsumer(
		consumer.WithNsResolver(r.resolver()),
		consumer.WithGroupName(group),
		consumer.WithInstance(fmt.Sprintf("c%d-%s", r.clients, r.id)),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithConsumeGoroutineNums(1))
	if err != nil {
		return err
	}
	selector := consumer.MessageSelector{Type: consumer.TAG, Expression: tags}
	err = c.Subscribe(topic, selector,
		func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			box.add(messages)
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

// createTopic creates the topic on every broker of the option `brokers` and waits until the route shows it.
func (r *run) createTopic(topic string) ([]*primitive.MessageQueue, error) {
	brokers := strings.Split(r.options["brokers"], ",")
	a, err := admin.NewAdmin(admin.WithResolver(r.resolver()))
	if err != nil {
		return nil, err
	}
	r.closeLater(a.Close)
	for _, broker := range brokers {
		err := a.CreateTopic(context.Background(), admin.WithTopicCreate(topic), admin.WithBrokerAddrCreate(broker),
			admin.WithReadQueueNums(queuesPerBroker), admin.WithWriteQueueNums(queuesPerBroker))
		if err != nil {
			return nil, fmt.Errorf("create topic %s on %s: %w", topic, broker, err)
		}
	}
	var queues []*primitive.MessageQueue
	// The client keeps the first route that it sees for half a minute, also one that is there in part only.
	time.Sleep(time.Second)
	for end := time.Now().Add(45 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		queues, err = a.FetchPublishMessageQueues(context.Background(), topic)
		if err == nil && len(queues) == len(brokers)*queuesPerBroker {
			break
		}
	}
	r.same(len(brokers)*queuesPerBroker, len(queues), "queues in the route of %s", topic)
	sort.Slice(queues, func(i, j int) bool { return queues[i].String() < queues[j].String() })
	return queues, err
}

// awaitCount waits until the mailbox holds `count` messages, then a little longer so that surplus shows.
func (r *run) awaitCount(box *mailbox, count int, limit time.Duration) {
	for end := time.Now().Add(limit); box.total() < count && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(surplusArrivalsWait)
	r.same(count, box.total(), "messages consumed")
}

// mailbox holds what arrived, in the order of arrival for each queue.
type mailbox struct {
	lock    sync.Mutex
	byQueue map[primitive.MessageQueue][]*primitive.MessageExt
	count   int
}

func (m *mailbox) add(messages []*primitive.MessageExt) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.byQueue == nil {
		m.byQueue = map[primitive.MessageQueue][]*primitive.MessageExt{}
	}
	for _, message := range messages {
		m.byQueue[*message.Queue] = append(m.byQueue[*message.Queue], message)
		m.count++
	}
}

func (m *mailbox) total() int {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.count
}

func (m *mailbox) of(queue primitive.MessageQueue) []*primitive.MessageExt {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.byQueue[queue]
}

func (m *mailbox) countBy(property string) map[string]int {
	m.lock.Lock()
	defer m.lock.Unlock()
	counts := map[string]int{}
	for _, messages := range m.byQueue {
		for _, message := range messages {
			counts[message.GetProperty(property)]++
		}
	}
	return counts
}
