package main

import (
	"context"
	"fmt"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// checkTags subscribes to "TagA || Aa", started before and after the messages: it sees these two tags only. "BB" has the same
// hash as "Aa" and is sorted out by the client.
func checkTags(r *run) error {
	tags := []string{"TagA", "Aa", "BB", "TagB", ""}
	topic := r.name("t")
	queues, err := r.createTopic(topic)
	if err != nil {
		return err
	}
	early, late := &mailbox{}, &mailbox{}
	if err := r.consumer(r.name("early"), topic, "TagA || Aa", early); err != nil {
		return err
	}
	p, err := r.producer()
	if err != nil {
		return err
	}
	each := r.intOption("count", 500) / len(tags)
	for i := 0; i < each*len(tags); i++ {
		message := primitive.NewMessage(topic, []byte(fmt.Sprint("body ", i)))
		if tag := tags[i%len(tags)]; tag != "" {
			message.WithTag(tag)
		}
		message.Queue = queues[i%len(queues)]
		result, err := p.SendSync(context.Background(), message)
		if err != nil {
			return fmt.Errorf("send %d: %w", i, err)
		}
		r.same(primitive.SendOK, result.Status, "status of send %d", i)
	}
	if err := r.consumer(r.name("late"), topic, "TagA || Aa", late); err != nil {
		return err
	}
	for name, box := range map[string]*mailbox{"early": early, "late": late} {
		r.awaitCount(box, 2*each, 30*time.Second)
		counts := box.countBy(primitive.PropertyTags)
		r.same(fmt.Sprint(map[string]int{"TagA": each, "Aa": each}), fmt.Sprint(counts), "tags seen by %s", name)
	}
	return nil
}
