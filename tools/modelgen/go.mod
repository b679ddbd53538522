module tenon/tools/modelgen

go 1.26.0
