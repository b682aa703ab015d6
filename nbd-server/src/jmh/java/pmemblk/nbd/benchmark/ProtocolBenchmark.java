package pmemblk.nbd.benchmark;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import pmemblk.nbd.protocol.Chunk;
import pmemblk.nbd.protocol.Command;
import pmemblk.nbd.protocol.ProtocolException;
import pmemblk.nbd.protocol.ReplyEncoder;
import pmemblk.nbd.protocol.ReplyForm;
import pmemblk.nbd.protocol.Request;
import pmemblk.nbd.protocol.RequestDecoder;

/** Headers of requests read, and of replies written, without their payloads. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class ProtocolBenchmark {
    private static final int COMPACT_MAGIC = 0x25609513;
    private static final int EXTENDED_MAGIC = 0x21e41c71;
    private static final int DESCRIPTOR_COUNT = 100;

    /** Whether requests and replies have extended headers, or compact and structured ones. */
    @Param({"false", "true"})
    public boolean extended;

    private ReplyForm form;
    private ByteBuf in;
    private ByteBuf out;
    private Request request;
    private long cookie;

    @Setup
    public void allocate() {
        form = extended ? ReplyForm.EXTENDED : ReplyForm.STRUCTURED;
        request = new Request(Command.READ, 0, 7, 4096, 4096);
        in = Unpooled.directBuffer(RequestDecoder.headerSize(extended));
        in.writeInt(extended ? EXTENDED_MAGIC : COMPACT_MAGIC);
        in.writeShort(0).writeShort(Command.READ.code()).writeLong(7).writeLong(4096);
        if (extended) {
            in.writeLong(4096);
        } else {
            in.writeInt(4096);
        }
        out = Unpooled.directBuffer(4096);
    }

    @TearDown
    public void release() {
        in.release();
        out.release();
    }

    @Benchmark
    public Request decodeRequest() throws ProtocolException {
        return RequestDecoder.decode(in.readerIndex(0), extended);
    }

    @Benchmark
    public ByteBuf encodeSimpleReply() {
        ReplyEncoder.simple(out.clear(), cookie++, null);
        return out;
    }

    @Benchmark
    public ByteBuf encodeDataChunk() {
        ReplyEncoder.chunk(out.clear(), form, request, true, new Chunk.Data(4096, 4096));
        return out;
    }

    @Benchmark
    public ByteBuf encodeBlockStatus() {
        Chunk chunk = new Chunk.BlockStatus(1, DESCRIPTOR_COUNT);
        ReplyEncoder.chunk(out.clear(), form, request, true, chunk);
        for (int i = 0; i < DESCRIPTOR_COUNT; i++) {
            ReplyEncoder.descriptor(out, form, 4096, i & 1);
        }
        return out;
    }
}
