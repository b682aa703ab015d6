package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.util.Arrays;
import java.util.HexFormat;
import javax.net.ssl.SSLSession;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import pmemblk.nbd.protocol.Limits;

/** When TLS begins, and what is refused before and after. */
class TlsUpgradeTest extends TlsFixture {
    private static final byte[] ALERT_RECORD = {21, 3, 3};

    // Off, on, required.

    @Test
    void startTlsIsRefusedByPolicyWhereTlsIsOffAndTheHandshakeGoesOn() throws IOException {
        try (RawClient client = connect(null)) {
            assertEquals(ERR_POLICY, answer(client, STARTTLS, NOTHING));
            client.go("disk");
            requireTransmission(client);
        }
    }

    @Test
    void optionsMayFollowARefusedStartTlsInTheSamePacket() throws IOException {
        try (RawClient client = connect(null)) {
            client.out.write(option(STARTTLS, NOTHING));
            client.option(ABORT, NOTHING);
            assertEquals(ERR_POLICY, client.optionReply());
            assertEquals(ACK, client.optionReply());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
    void bothVersionsCarryAllOfASession(String version) throws IOException {
        try (RawClient client = connect(required())) {
            SSLSession session = client.startTls(Certificates.trusting(certificates), version);
            assertEquals(version, session.getProtocol());
            assertEquals(ERR_UNKNOWN, client.info(INFO, "nobody"));
            client.go("");
            requireTransmission(client);
        }
    }

    /** Version 1.2 says in the clear which of its records are alerts. */
    @Test
    void discIsAnsweredByTheEndOfTlsAndThenOfTheConnection() throws IOException {
        ByteArrayOutputStream received = new ByteArrayOutputStream();
        Socket recording =
                new Socket() {
                    @Override
                    public InputStream getInputStream() throws IOException {
                        return new FilterInputStream(super.getInputStream()) {
                            @Override
                            public int read(byte[] bytes, int from, int count) throws IOException {
                                int read = super.read(bytes, from, count);
                                received.write(bytes, from, Math.max(0, read));
                                return read;
                            }
                        };
                    }
                };
        try (RawClient client = new RawClient(serve(required()), recording)) {
            client.greet();
            client.startTls(Certificates.trusting(certificates), "TLSv1.2");
            client.go("");
            received.reset();
            client.request(RawClient.DISC, 0, 1, 0, 0);

            assertTrue(client.isHungUp());
            assertArrayEquals(ALERT_RECORD, Arrays.copyOf(received.toByteArray(), 3));
        }
    }

    /** A hello of TLS 1.1, which the JDK's own client no longer says. */
    @Test
    void olderVersionsAreRefused() throws IOException {
        try (RawClient client = connect(required())) {
            assertEquals(ACK, answer(client, STARTTLS, NOTHING));
            String hello = "0302" + "00".repeat(32) + "00" + "0004c013c02f" + "0100";
            client.out.write(HexFormat.of().parseHex("160301002f" + "0100002b" + hello));
            client.out.flush();
            byte[] alert = client.in.readNBytes(7);
            assertEquals("0246", HexFormat.of().formatHex(alert, 5, 7)); // fatal protocol_version
            assertTrue(client.isHungUp());
        }
    }

    @Test
    void whereTlsIsOnItIsTheClientsChoice() throws IOException {
        try (RawClient client = connect(on())) {
            assertEquals(ACK, client.info(INFO, "disk"));
            client.startTls(Certificates.trusting(certificates));
            client.go("disk");
            requireTransmission(client);
            try (RawClient plain = RawClient.transmitting(requireServer())) {
                requireTransmission(plain);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {LIST, INFO, GO, STRUCTURED_REPLY, 0, 99, -1})
    void whereTlsIsRequiredNoOptionIsAnsweredBefore(int option) throws IOException {
        try (RawClient client = connect(required())) {
            assertEquals(ERR_TLS_REQD, answer(client, option, NOTHING));
            assertEquals(ERR_TLS_REQD, answer(client, option, new byte[100]));
            client.startTls(Certificates.trusting(certificates));
            client.go("disk");
        }
    }

    /** What nbdkit's commit 282c3b03 mended: the option's data was taken for the next option. */
    @Test
    void nbdkit282c3b03DataOfARefusedOptionIsConsumed() throws IOException {
        try (RawClient client = connect(required())) {
            assertEquals(ERR_TLS_REQD, client.info(INFO, "disk"));
            assertEquals(ERR_TLS_REQD, client.info(GO, "n".repeat(Limits.NAME_LENGTH)));
            client.startTls(Certificates.trusting(certificates));
            assertEquals(ACK, client.info(INFO, "disk"));
        }
    }

    @Test
    void nbdkit282c3b03ExportNameHangsUpWhereTlsIsRequired() throws IOException {
        try (RawClient client = connect(required())) {
            client.option(EXPORT_NAME, name("disk"));
            assertEquals(-1, client.in.read());
        }
    }

    @Test
    void abortNeedsNoTls() throws IOException {
        try (RawClient client = connect(required())) {
            assertEquals(ACK, answer(client, ABORT, NOTHING));
        }
    }

    @Test
    void startTlsWithDataIsInvalidAndTlsMayStillBegin() throws IOException {
        try (RawClient client = connect(required())) {
            assertEquals(ERR_INVALID, answer(client, STARTTLS, new byte[1]));
            client.startTls(Certificates.trusting(certificates));
            client.go("disk");
        }
    }

    @Test
    void aSecondStartTlsIsInvalidAndTlsGoesOn() throws IOException {
        try (RawClient client = connect(required())) {
            client.startTls(Certificates.trusting(certificates));
            assertEquals(ERR_INVALID, answer(client, STARTTLS, NOTHING));
            client.go("disk");
            requireTransmission(client);
        }
    }

    // What an attacker puts between.

    private static byte[] option(int code, byte[] data) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeLong(0x49484156454f5054L);
        out.writeInt(code);
        out.writeInt(data.length);
        out.write(data);
        return bytes.toByteArray();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 15, 16})
    void cve2021_3716BytesBehindStartTlsHangUp(int count) throws IOException {
        try (RawClient client = connect(on())) {
            client.out.write(option(STARTTLS, NOTHING));
            client.out.write(option(STRUCTURED_REPLY, NOTHING), 0, count);
            client.out.flush();
            assertEquals(-1, client.in.read());
        }
    }

    @Test
    void cve2021_3716PlainOptionInPlaceOfTlsHangsUp() throws IOException {
        try (RawClient client = connect(on())) {
            assertEquals(ACK, answer(client, STARTTLS, NOTHING));
            client.option(STRUCTURED_REPLY, NOTHING);
            assertTrue(client.isHungUp());
        }
    }

    @Test
    void cve2021_3716WhatWasAgreedBeforeTlsIsForgotten() throws IOException {
        try (RawClient client = connect(on())) {
            answer(client, STRUCTURED_REPLY, NOTHING);
            client.startTls(Certificates.trusting(certificates));
            client.go("disk");
            requireTransmission(client); // which takes simple replies only
        }
    }

    @Test
    void cve2021_3716ClientFlagsOutliveStartTls() throws IOException {
        try (RawClient client = connect(on())) {
            client.startTls(Certificates.trusting(certificates));
            client.option(EXPORT_NAME, name("disk"));
            assertEquals(Limits.PAYLOAD, client.in.readLong());
            client.in.skipNBytes(2);
            requireTransmission(client); // in step: the padding that the flags refuse is not there
        }
    }

    @Test
    void garbageInTheMiddleOfTlsHangsUp() throws IOException {
        try (RawClient client = connect(required())) {
            client.startTls(Certificates.trusting(certificates));
            client.go("disk");
            client.socket.getOutputStream().write(new byte[100]);
            assertTrue(client.isHungUp());
        }
        try (RawClient client = new RawClient(requireServer())) {
            client.greet();
            client.startTls(Certificates.trusting(certificates));
            client.go("disk");
        }
    }
}
