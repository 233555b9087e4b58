internal import Kademlia
import Time

/// Events in order of time, and of insertion for equal times.
///
/// A binary heap of small entries. The events themselves do not move.
struct EventQueue<Event> {
    private struct Entry {
        let time: MonotonicTime
        let sequence: UInt64
        let slot: Int32

        func precedes(_ other: Entry) -> Bool {
            time == other.time ? sequence < other.sequence : time < other.time
        }
    }

    private var heap: [Entry] = []
    private var events: [Event?] = []
    private var freeSlots: [Int32] = []
    private var nextSequence: UInt64 = 0

    /// The number of waiting events.
    var count: Int { heap.count }

    /// The time of the next event.
    var nextTime: MonotonicTime? { heap.first?.time }

    /// Adds an event.
    mutating func push(_ event: Event, at time: MonotonicTime) {
        let slot: Int32
        if let free = freeSlots.popLast() {
            slot = free
            events[Int(free)] = event
        } else {
            slot = Int32(events.count)
            events.append(event)
        }
        heap.append(Entry(time: time, sequence: nextSequence, slot: slot))
        nextSequence += 1
        siftUp(heap.count - 1)
    }

    /// Removes the next event.
    mutating func pop() -> (time: MonotonicTime, event: Event)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty {
            heap[0] = last
            siftDown()
        }
        guard let event = events[Int(first.slot)] else { return nil }
        events[Int(first.slot)] = nil
        freeSlots.append(first.slot)
        return (first.time, event)
    }

    private mutating func siftUp(_ start: Int) {
        var place = start
        let entry = heap[place]
        while place > 0 {
            let parent = (place - 1) / 2
            guard entry.precedes(heap[parent]) else { break }
            heap[place] = heap[parent]
            place = parent
        }
        heap[place] = entry
    }

    private mutating func siftDown() {
        var place = 0
        let entry = heap[place]
        while true {
            var child = 2 * place + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].precedes(heap[child]) { child += 1 }
            guard heap[child].precedes(entry) else { break }
            heap[place] = heap[child]
            place = child
        }
        heap[place] = entry
    }
}
