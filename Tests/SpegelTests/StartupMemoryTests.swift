import Testing

@testable import spegel

struct StartupMemoryTests {
    @Test func onlyCodeIsGivenBack() {
        let code = "5592d4a00000-5592d6ec7000 r-xp 00a00000 fe:00 123 /usr/local/bin/spegel"
        #expect(StartupMemory.codeRange(inMapsLine: code) == 0x5592_d4a0_0000..<0x5592_d6ec_7000)
        for other in ["r--p", "rw-p", "rwxp", "r-xs"] {
            #expect(StartupMemory.codeRange(inMapsLine: code.replacing("r-xp", with: other)) == nil)
        }
        for odd in ["", "x", "1-2", "2-1 r-xp 0 /x", "zz-1 r-xp 0 /x", "1 r-xp 0 /x"] {
            #expect(StartupMemory.codeRange(inMapsLine: odd) == nil)
        }
    }

    @Test func theProgramGoesOnAfterwards() {
        StartupMemory.release()
        #expect([3, 1, 2].sorted() == [1, 2, 3])
    }
}
