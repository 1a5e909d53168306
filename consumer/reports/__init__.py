"""What `report.generate` makes: content checked once (content), then written as PDF or as a workbook."""
