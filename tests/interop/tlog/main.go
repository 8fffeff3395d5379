// Verifies an Annals log with nothing of Annals: the checkpoint with golang.org/x/mod/sumdb/note, the
// proofs with golang.org/x/mod/sumdb/tlog, and the record with what docs/audit.md says of it.
//
//	tlog -key VERIFIER_KEY -checkpoint FILE -inclusion FILE [-earlier FILE -consistency FILE]
//
// The files are what GET /api/v1/audit/… answers: checkpoints as text, proofs as JSON. With -bundle FILE
// it reads a bundle of the whole log instead of the proofs and computes the tree from its events.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type row struct {
	Position      uint64 `json:"position"`
	EventID       string `json:"eventId"`
	AggregateType string `json:"aggregateType"`
	AggregateID   string `json:"aggregateId"`
	Sequence      uint64 `json:"sequence"`
	EventType     string `json:"eventType"`
	EventVersion  string `json:"eventVersion"`
	Payload       string `json:"payload"`
	Metadata      string `json:"metadata"`
	RecordedAt    string `json:"recordedAt"`
}

// record is the canonical record of docs/audit.md.
func record(r row) []byte {
	id, err := hex.DecodeString(strings.ReplaceAll(r.EventID, "-", ""))
	check(err)
	at, err := time.Parse(time.RFC3339Nano, r.RecordedAt)
	check(err)
	number := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	fields := [][]byte{
		number(r.Position), id, []byte(r.AggregateType), []byte(r.AggregateID), number(r.Sequence),
		[]byte(r.EventType), []byte(r.EventVersion), []byte(r.Payload), []byte(r.Metadata),
		number(uint64(at.UnixMicro())),
	}
	out := []byte("annals-event-v1\n")
	for _, field := range fields {
		out = binary.BigEndian.AppendUint32(out, uint32(len(field)))
		out = append(out, field...)
	}
	return out
}

// open verifies a signed checkpoint and returns its tree.
func open(text []byte, verifier note.Verifier) tlog.Tree {
	opened, err := note.Open(text, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		fail("the checkpoint is not of the log %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return tlog.Tree{N: size, Hash: root}
}

func hashes(texts []string) []tlog.Hash {
	var out []tlog.Hash
	for _, text := range texts {
		hash, err := tlog.ParseHash(text)
		check(err)
		out = append(out, hash)
	}
	return out
}

func inclusion(path string, tree tlog.Tree) {
	var answer struct {
		Data struct {
			TreeSize int64    `json:"treeSize"`
			Proof    []string `json:"proof"`
			Event    row      `json:"event"`
		} `json:"data"`
	}
	parse(path, &answer)
	proof := answer.Data
	if proof.TreeSize != tree.N {
		fail("the proof is for a tree of %d events, the checkpoint is of %d", proof.TreeSize, tree.N)
	}
	leaf := tlog.RecordHash(record(proof.Event))
	check(tlog.CheckRecord(hashes(proof.Proof), tree.N, tree.Hash, int64(proof.Event.Position)-1, leaf))
	fmt.Printf("inclusion ok: %s at position %d\n", proof.Event.EventType, proof.Event.Position)
}

func consistency(path string, earlier, tree tlog.Tree) {
	var answer struct {
		Data struct {
			From  int64    `json:"from"`
			To    int64    `json:"to"`
			Proof []string `json:"proof"`
		} `json:"data"`
	}
	parse(path, &answer)
	if answer.Data.From != earlier.N || answer.Data.To != tree.N {
		fail("the proof leads from %d events to %d, the checkpoints from %d to %d", answer.Data.From, answer.Data.To, earlier.N, tree.N)
	}
	check(tlog.CheckTree(hashes(answer.Data.Proof), tree.N, tree.Hash, earlier.N, earlier.Hash))
	fmt.Printf("consistency ok: the tree of %d events begins with that of %d\n", tree.N, earlier.N)
}

// bundle computes the tree from every event of a bundle of the whole log.
func bundle(path string, tree tlog.Tree) {
	file, err := os.Open(path)
	check(err)
	defer file.Close()
	lines := bufio.NewReaderSize(file, 1<<20)
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			out[i] = stored[index]
		}
		return out, nil
	})
	var count int64
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var line struct {
			Kind  string `json:"kind"`
			Event row    `json:"event"`
		}
		check(json.Unmarshal(text, &line))
		if line.Kind != "event" {
			continue
		}
		if line.Event.Position != uint64(count)+1 {
			fail("position %d stands where %d belongs", line.Event.Position, count+1)
		}
		added, err := tlog.StoredHashes(count, record(line.Event), reader)
		check(err)
		stored = append(stored, added...)
		count++
	}
	if count < tree.N {
		fail("the bundle has %d events, the checkpoint is of %d: take a checkpoint that the bundle reaches", count, tree.N)
	}
	// A bundle that was made since begins with the events of the checkpoint.
	root, err := tlog.TreeHash(tree.N, reader)
	check(err)
	if root != tree.Hash {
		fail("the tree of the bundle's first %d events is not the one that was signed", tree.N)
	}
	fmt.Printf("bundle ok: %d events have the signed root\n", tree.N)
}

func parse(path string, into any) {
	text, err := os.ReadFile(path)
	check(err)
	check(json.Unmarshal(text, into))
}

func read(path string) []byte {
	text, err := os.ReadFile(path)
	check(err)
	return text
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

func main() {
	key := flag.String("key", "", "the log's verifier key")
	checkpoint := flag.String("checkpoint", "", "a file with the newest checkpoint")
	inclusionFile := flag.String("inclusion", "", "a file with an inclusion proof")
	earlier := flag.String("earlier", "", "a file with an earlier checkpoint")
	consistencyFile := flag.String("consistency", "", "a file with a consistency proof")
	bundleFile := flag.String("bundle", "", "a file with a bundle of the whole log")
	flag.Parse()
	verifier, err := note.NewVerifier(strings.TrimSpace(*key))
	check(err)
	tree := open(read(*checkpoint), verifier)
	fmt.Printf("checkpoint ok: %d events, root %s\n", tree.N, tree.Hash)
	if *inclusionFile != "" {
		inclusion(*inclusionFile, tree)
	}
	if *consistencyFile != "" {
		consistency(*consistencyFile, open(read(*earlier), verifier), tree)
	}
	if *bundleFile != "" {
		bundle(*bundleFile, tree)
	}
}
