import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.hl7.fhir.common.hapi.validation.support.CachingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.r5.utils.validation.constants.BestPracticeWarningLevel;

/**
 * Reads R4 resources, one JSON object a line, from files or stdin; prints every error and exits 1 if there is one.
 *
 * <p>Offline: HL7's own profiles and code systems only. What needs a terminology server is filtered and counted:
 * codes of systems that HAPI does not carry (SNOMED CT, LOINC, RxNorm, ICD, local systems), and value sets it cannot expand.
 */
public final class Check {
    /** Message parts that say "no terminology server", not "wrong". */
    private static final List<String> FILTERED = List.of(
            "CodeSystem is unknown and can't be validated",
            "could not be validated because the code system",
            "Unknown code system",
            "CodeSystem could not be found",
            "Unable to expand ValueSet",
            "Unable to validate code");

    public static void main(String[] files) throws IOException {
        FhirContext context = FhirContext.forR4();
        ValidationSupportChain chain = new ValidationSupportChain(
                new DefaultProfileValidationSupport(context),
                new CommonCodeSystemsTerminologyService(context),
                new InMemoryTerminologyServerValidationSupport(context));
        FhirInstanceValidator module = new FhirInstanceValidator(new CachingValidationSupport(chain));
        module.setBestPracticeWarningLevel(BestPracticeWarningLevel.Ignore);
        module.setErrorForUnknownProfiles(false);
        module.setNoTerminologyChecks(false);
        FhirValidator validator = context.newValidator().registerValidatorModule(module);

        int resources = 0;
        int errors = 0;
        Map<String, Integer> filtered = new TreeMap<>();
        for (String file : files.length == 0 ? new String[] {"-"} : files) {
            try (BufferedReader in = open(file)) {
                int number = 0;
                for (String line = in.readLine(); line != null; line = in.readLine()) {
                    number++;
                    if (line.isBlank()) {
                        continue;
                    }
                    resources++;
                    for (SingleValidationMessage message : validator.validateWithResult(line).getMessages()) {
                        if (message.getSeverity().ordinal() < ResultSeverityEnum.ERROR.ordinal()) {
                            continue;
                        }
                        String text = message.getMessage();
                        String known = FILTERED.stream().filter(text::contains).findFirst().orElse(null);
                        if (known != null) {
                            filtered.merge(known, 1, Integer::sum);
                            continue;
                        }
                        errors++;
                        System.out.println(file + ":" + number + ": " + message.getLocationString() + ": " + text);
                    }
                }
            }
        }
        filtered.forEach((text, count) -> System.out.println("filtered " + count + ": " + text));
        System.out.println(resources + " resources, " + errors + " errors");
        System.exit(errors == 0 && resources > 0 ? 0 : 1);
    }

    private static BufferedReader open(String file) throws IOException {
        return "-".equals(file)
                ? new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))
                : Files.newBufferedReader(Path.of(file), StandardCharsets.UTF_8);
    }
}
