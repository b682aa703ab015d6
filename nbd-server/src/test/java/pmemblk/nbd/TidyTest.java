package pmemblk.nbd;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** House rules that neither the compiler nor the POMs hold. */
@AnalyzeClasses(packages = "pmemblk", importOptions = ImportOption.DoNotIncludeTests.class)
class TidyTest {

    @ArchTest
    static final ArchRule ONLY_THE_POOL_KNOWS_ITS_INSIDES =
            noClasses()
                    .that()
                    .resideOutsideOfPackage("pmemblk.pool..")
                    .should()
                    .dependOnClassesThat()
                    .resideInAnyPackage("pmemblk.pool.btt", "pmemblk.pool.media");

    @ArchTest
    static final ArchRule THE_TABLE_KNOWS_NO_POOL =
            noClasses()
                    .that()
                    .resideInAPackage("pmemblk.pool.btt")
                    .should()
                    .dependOnClassesThat()
                    .resideInAnyPackage("pmemblk.pool", "pmemblk.nbd..");

    @ArchTest
    static final ArchRule MEDIA_KNOW_NOTHING =
            noClasses()
                    .that()
                    .resideInAPackage("pmemblk.pool.media")
                    .should()
                    .dependOnClassesThat(
                            resideInAPackage("pmemblk..")
                                    .and(not(resideInAPackage("pmemblk.pool.media"))));

    @ArchTest
    static final ArchRule POOL_AND_EXPORT_KNOW_NO_NETWORK =
            noClasses()
                    .that()
                    .resideInAnyPackage("pmemblk.pool..", "pmemblk.nbd.export")
                    .should()
                    .dependOnClassesThat()
                    .resideInAnyPackage("io.netty..", "pmemblk.nbd.protocol", "pmemblk.nbd.server");

    @ArchTest
    static final ArchRule PROTOCOL_KNOWS_NO_EXPORT =
            noClasses()
                    .that()
                    .resideInAPackage("pmemblk.nbd.protocol")
                    .should()
                    .dependOnClassesThat()
                    .resideInAnyPackage(
                            "pmemblk.pool..", "pmemblk.nbd.export", "pmemblk.nbd.server");

    @ArchTest
    static final ArchRule TLS_KNOWS_NO_NBD =
            noClasses()
                    .that()
                    .resideInAPackage("pmemblk.nbd.tls")
                    .should()
                    .dependOnClassesThat(
                            resideInAPackage("pmemblk..")
                                    .and(not(resideInAPackage("pmemblk.nbd.tls"))));

    @ArchTest
    static final ArchRule ONLY_TLS_MAKES_CERTIFICATES =
            noClasses()
                    .that()
                    .resideOutsideOfPackage("pmemblk.nbd.tls")
                    .should()
                    .dependOnClassesThat()
                    .resideInAPackage("org.bouncycastle..");

    @ArchTest
    static final ArchRule NOBODY_KNOWS_THE_COMMAND_LINE =
            noClasses()
                    .that()
                    .resideOutsideOfPackage("pmemblk.nbd.cli")
                    .should()
                    .dependOnClassesThat()
                    .resideInAnyPackage(
                            "pmemblk.nbd.cli", "picocli..", "me.tongfei..", "ch.qos.logback..");

    @ArchTest
    static final ArchRule NATIVE_CALLS_HAVE_ONE_HOME =
            noClasses()
                    .that()
                    .doNotHaveFullyQualifiedName("pmemblk.pool.media.Linux")
                    .should()
                    .dependOnClassesThat()
                    .haveFullyQualifiedName("java.lang.foreign.Linker");

    @ArchTest
    static final ArchRule ONLY_THE_COMMAND_LINE_PRINTS =
            noClasses()
                    .that()
                    .resideOutsideOfPackage("pmemblk.nbd.cli")
                    .should()
                    .accessField(System.class, "out")
                    .orShould()
                    .accessField(System.class, "err");
}
