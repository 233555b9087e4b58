import Testing

@testable import spegel

struct SpareMemoryTests {
    @Test func onlyWhatCannotBeWrittenToIsGivenBack() {
        let code = "5592d4a00000-5592d6ec7000 r-xp 00a00000 fe:00 123 /usr/local/bin/spegel"
        for kind in ["r-xp", "r--p"] {
            let range = SpareMemory.readOnlyRange(inMapsLine: code.replacing("r-xp", with: kind))
            #expect(range == 0x5592_d4a0_0000..<0x5592_d6ec_7000)
        }
        for kind in ["rw-p", "rwxp", "r-xs", "---p"] {
            #expect(SpareMemory.readOnlyRange(inMapsLine: code.replacing("r-xp", with: kind)) == nil)
        }
        // Anonymous memory would be lost, and the kernel's own pages are no file's.
        for name in ["", "[heap]", "[vdso]", "relative"] {
            #expect(SpareMemory.readOnlyRange(inMapsLine: code.replacing("/usr/local/bin/spegel", with: name)) == nil)
        }
        let odds = [
            "", "x", "1-2", "2-1 r-xp 0 fe:00 1 /x", "zz-1 r-xp 0 fe:00 1 /x", "1 r-xp 0 fe:00 1 /x", "1-2 r-xp /x",
        ]
        for odd in odds {
            #expect(SpareMemory.readOnlyRange(inMapsLine: odd) == nil)
        }
        #expect(SpareMemory.isMapsLine(code) && !SpareMemory.isMapsLine("Rss:   4 kB"))
        #expect(SpareMemory.anonymousSize(inSmapsLine: "Anonymous:           988 kB") == 988)
        #expect(SpareMemory.anonymousSize(inSmapsLine: "AnonHugePages:         0 kB") == nil)
    }

    @Test func theProgramGoesOnAfterwards() {
        SpareMemory.releaseCode()
        SpareMemory.trimHeap()
        #expect([3, 1, 2].sorted() == [1, 2, 3])
    }
}
