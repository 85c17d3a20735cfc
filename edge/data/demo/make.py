#!/usr/bin/env python3
"""Writes hospital-a/type2-diabetes.ndjson: 28 made-up patients who share one condition, one FHIR Bundle a line.

Nobody in it exists: names are combined from two short lists, identifiers stand under HL7's example OID, values come from a
fixed sequence of numbers. Running it again writes the same bytes.
"""
import json
import pathlib

GIVEN = ["Ada", "Bruno", "Clara", "Dario", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas", "Kaya", "Lena", "Marek", "Nadia"]
FAMILY = ["Testmann", "Musterfrau", "Probst", "Sample", "Beispiel", "Placebo", "Exemplar"]
COUNT = 28


def numbers(seed=20240305):
    """A linear congruential sequence (Numerical Recipes), so that every run and language gives the same."""
    while True:
        seed = (seed * 1664525 + 1013904223) % 2**32
        yield seed >> 8


def bundle(index, draw):
    patient = f"urn:uuid:00000000-0000-4000-8000-{index:012d}"
    year, month, day = 1938 + next(draw) % 42, 1 + next(draw) % 12, 1 + next(draw) % 28
    onset = 2008 + next(draw) % 15
    taken = f"2024-{1 + next(draw) % 6:02d}-{1 + next(draw) % 28:02d}"
    hba1c = 62 + next(draw) % 40
    glucose = 105 + next(draw) % 120
    subject = {"reference": patient}

    def lab(code, text, value, unit, ucum, high):
        flag = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
                            "code": "H" if value > high else "N"}]}
        return {"resourceType": "Observation", "status": "final",
                "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category",
                                          "code": "laboratory"}]}],
                "code": {"coding": [{"system": "http://loinc.org", "code": code}], "text": text},
                "subject": subject, "effectiveDateTime": taken,
                "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": ucum},
                "interpretation": [flag]}

    resources = [
        (patient, {"resourceType": "Patient",
                   "identifier": [{"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203",
                                                        "code": "MR"}]},
                                   "system": "urn:oid:2.16.840.1.113883.19.5.1", "value": f"A{100000 + index * 37}"}],
                   "name": [{"use": "official", "family": FAMILY[index % len(FAMILY)],
                             "given": [GIVEN[index % len(GIVEN)]]}],
                   "gender": "female" if index % 2 == 0 else "male",
                   "birthDate": f"{year}-{month:02d}-{day:02d}"}),
        (f"urn:uuid:00000000-0000-4000-8001-{index:012d}",
         {"resourceType": "Condition",
          "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                                         "code": "active"}]},
          "verificationStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
                                             "code": "confirmed"}]},
          "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"},
                              {"system": "http://snomed.info/sct", "code": "44054006"}],
                   "text": "Type 2 diabetes mellitus"},
          "subject": subject, "onsetDateTime": str(onset)}),
        (f"urn:uuid:00000000-0000-4000-8002-{index:012d}",
         lab("4548-4", "Hemoglobin A1c", hba1c / 10, "%", "%", 6.4)),
    ]
    if index % 2 == 0:
        resources.append((f"urn:uuid:00000000-0000-4000-8003-{index:012d}",
                          lab("2345-7", "Glucose", glucose, "mg/dL", "mg/dL", 140)))
    return {"resourceType": "Bundle", "type": "collection",
            "entry": [{"fullUrl": url, "resource": resource} for url, resource in resources]}


def main():
    draw = numbers()
    lines = [json.dumps(bundle(index, draw), separators=(",", ":")) for index in range(COUNT)]
    target = pathlib.Path(__file__).parent / "hospital-a" / "type2-diabetes.ndjson"
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


main()
