package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// letter is a message sent, and what the broker answered.
type letter struct {
	message *primitive.Message
	result  *primitive.SendResult
}

// checkOrder sends messages one by one to chosen queues while a push consumer reads them: each arrives once,
// in order for its queue, unchanged, at the offset the broker named.
func checkOrder(r *run) error {
	topic := r.name("t")
	queues, err := r.createTopic(topic)
	if err != nil {
		return err
	}
	box := &mailbox{}
	if err := r.consumer(r.name("g"), topic, "*", box); err != nil {
		return err
	}
	p, err := r.producer()
	if err != nil {
		return err
	}
	each := r.intOption("count", 10_000) / len(queues)
	sent := make([][]letter, len(queues))
	var senders sync.WaitGroup
	for i := range queues {
		senders.Add(1)
		go func(i int) {
			defer senders.Done()
			sent[i] = r.sendQueue(p, queues[i], i, each)
		}(i)
	}
	senders.Wait()
	total := 0
	for _, letters := range sent {
		total += len(letters)
	}
	r.awaitCount(box, total, 40*time.Second)
	for i, queue := range queues {
		r.compareQueue(*queue, sent[i], box)
	}
	return nil
}

func (r *run) sendQueue(p rocketmq.Producer, queue *primitive.MessageQueue, stream, each int) []letter {
	random := r.random(stream)
	letters := make([]letter, 0, each)
	for i := 0; i < each; i++ {
		body := make([]byte, 1+random.Intn(1500))
		random.Read(body)
		message := primitive.NewMessage(queue.Topic, body)
		message.WithTag(fmt.Sprintf("tag%d", i%7))
		message.WithKeys([]string{fmt.Sprintf("%s-%d-%d", queue.BrokerName, queue.QueueId, i), "second"})
		message.WithProperty("sequence", fmt.Sprint(i))
		message.WithProperty("mixed", fmt.Sprintf("größe 数 =;,&{}\" %d", i))
		message.Flag = int32(i)
		message.Queue = queue
		result, err := p.SendSync(context.Background(), message)
		if err != nil {
			r.fail("send %d to %v: %v", i, queue, err)
			return letters
		}
		r.same(primitive.SendOK, result.Status, "status of send %d to %v", i, queue)
		r.same(int64(i), result.QueueOffset, "queue offset of send %d to %v", i, queue)
		r.same(queue.QueueId, result.MessageQueue.QueueId, "queue of send %d to %v", i, queue)
		letters = append(letters, letter{message, result})
	}
	return letters
}

func (r *run) compareQueue(queue primitive.MessageQueue, sent []letter, box *mailbox) {
	seen := box.of(queue)
	r.same(len(sent), len(seen), "messages consumed from %v", queue)
	for i := 0; i < len(sent) && i < len(seen); i++ {
		expected, got := sent[i], seen[i]
		what := fmt.Sprintf("arrival %d from %v", i, queue)
		r.same(int64(i), got.QueueOffset, "queue offset of %s", what)
		r.same(expected.result.OffsetMsgID, got.OffsetMsgId, "offset message id of %s", what)
		r.same(expected.result.MsgID, got.MsgId, "unique id of %s", what)
		r.same(expected.message.Flag, got.Flag, "flag of %s", what)
		if !bytes.Equal(expected.message.Body, got.Body) {
			r.fail("body of %s differs: sent %d bytes, saw %d", what, len(expected.message.Body), len(got.Body))
		}
		for _, key := range []string{"sequence", "mixed", primitive.PropertyTags, primitive.PropertyKeys} {
			r.same(expected.message.GetProperty(key), got.GetProperty(key), "property %s of %s", key, what)
		}
	}
}
